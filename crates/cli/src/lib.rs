//! The command line: commands, flags, output.
