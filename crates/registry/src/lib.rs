//! The distribution protocol: auth, pull, push.
