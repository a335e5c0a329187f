//! Words that the OCI specifications define: digest, reference, platform, manifest, config, runtime spec. No I/O.
