//! Command-line flags, as Docker's command line understands them.
//!
//! ```text
//! flags! { struct … }   a struct with one typed field per flag, and the table that describes them
//! parse.rs              arguments -> struct + the rest, in the manner of Go's pflag
//! value.rs              what a field's type accepts
//! help.rs               the table as help text
//! ```
//!
//! clap is not used: abbreviations, `--flag=false`, the stop at the first argument and every error text differ from
//! what scripts written for Docker expect, and building its tree costs more than a whole `ps`.

pub(crate) mod attachment;
pub(crate) mod block_device;
pub(crate) mod csv;
pub(crate) mod device;
pub(crate) mod env_file;
pub(crate) mod filter;
pub(crate) mod gpus;
pub(crate) mod help;
pub(crate) mod mount;
mod parse;
pub(crate) mod port;
pub(crate) mod size;
pub(crate) mod ulimit;
pub(crate) mod value;
pub(crate) mod volume;

pub(crate) use parse::{Order, Parsed, parse};

/// One flag as the tables tell it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spec {
    pub(crate) long: &'static str,
    pub(crate) short: Option<char>,
    pub(crate) help: &'static str,
    /// The kind of value in help texts; empty for a switch.
    pub(crate) kind: &'static str,
    pub(crate) default: &'static str,
    /// Takes no value unless it is joined with `=`.
    pub(crate) is_switch: bool,
}

impl Spec {
    /// Old spellings are understood but not shown.
    pub(crate) fn is_hidden(&self) -> bool {
        self.help.is_empty()
    }
}

/// A struct of flags.
pub(crate) trait FlagSet: Sized {
    /// With every flag's default.
    fn defaults() -> Self;
    /// What there is, in the order of [`FlagSet::set`]'s index.
    fn specs() -> Vec<Spec>;
    /// Sets the flag at `index` in [`FlagSet::specs`]; the error says what is wrong with `text`.
    fn set(&mut self, index: usize, text: &str) -> Result<(), String>;
}

/// Declares a struct of flags: `field: Type = "long" / 'short' or "default", "help";`. A flag without help is hidden.
/// `+ field: Type;` takes in all flags of another such struct.
macro_rules! flags {
    ($(#[$meta:meta])* pub(crate) struct $name:ident {
        $($field:ident: $ty:ty = $long:literal $(/ $short:literal)? $(or $default:literal)?, $help:expr;)*
        $(+ $group:ident: $group_ty:ty;)*
    }) => {
        $(#[$meta])*
        #[derive(Debug, Default)]
        pub(crate) struct $name {
            $(pub(crate) $field: $ty,)*
            $(pub(crate) $group: $group_ty,)*
        }

        impl $crate::flags::FlagSet for $name {
            fn defaults() -> Self {
                #[allow(unused_mut, reason = "not every struct has a flag with a default")]
                let mut flags = Self::default();
                $(flags.$group = <$group_ty as $crate::flags::FlagSet>::defaults();)*
                $($(
                    let set = $crate::flags::value::Value::set(&mut flags.$field, $default);
                    debug_assert!(set.is_ok(), "default of {}", $long);
                )?)*
                flags
            }

            fn specs() -> Vec<$crate::flags::Spec> {
                #[allow(unused_mut, reason = "not every struct takes in another")]
                let mut specs = vec![$($crate::flags::Spec {
                    long: $long,
                    short: None$(.or(Some($short)))?,
                    help: $help,
                    kind: <$ty as $crate::flags::value::Value>::KIND,
                    default: concat!("", $($default)?),
                    is_switch: <$ty as $crate::flags::value::Value>::IS_SWITCH,
                },)*];
                $(specs.extend(<$group_ty as $crate::flags::FlagSet>::specs());)*
                specs
            }

            #[allow(unused_variables, unused_mut, unused_assignments, reason = "structs without flags or groups")]
            fn set(&mut self, index: usize, text: &str) -> Result<(), String> {
                let mut next = 0;
                $(
                    if index == next {
                        return $crate::flags::value::Value::set(&mut self.$field, text);
                    }
                    next += 1;
                )*
                $(
                    let count = <$group_ty as $crate::flags::FlagSet>::specs().len();
                    if index < next + count {
                        return $crate::flags::FlagSet::set(&mut self.$group, index - next, text);
                    }
                    next += count;
                )*
                Err("no such flag".to_owned())
            }
        }
    };
}
pub(crate) use flags;

/// The help of `--format` where lists are printed.
pub(crate) const LIST_FORMAT: &str = "Format output using a custom template:
'table':            Print output in table format with column headers (default)
'table TEMPLATE':   Print output in table format using the given Go template
'json':             Print in JSON format
'TEMPLATE':         Print output using the given Go template.
Refer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates";

/// The help of `--format` where objects are printed.
pub(crate) const INSPECT_FORMAT: &str = "Format output using a custom template:
'json':             Print in JSON format
'TEMPLATE':         Print output using the given Go template.
Refer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates";

flags! {
    /// For commands without flags.
    pub(crate) struct NoFlags {}
}
