//! How a struct of the Engine API is declared.
//!
//! The API was born in Go, and Go's JSON decoder treats `null` and a missing field alike: the field keeps its
//! zero value. Clients rely on that for every field, so `wire!` gives each one a decoder that reads `null` as the
//! default, names fields in `PascalCase`, and ignores unknown ones. Encoding follows the Go struct tags instead:
//! a field marked `is_default` is left out when empty, one marked `null_when_empty` is written as `null`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Declares wire structs: derives, Docker's field names, and `null` read as the default for every field.
///
/// A leading literal (`"camelCase";`) sets another naming scheme for all structs of the call. A `custom { … }`
/// block after a struct adds fields that bring their own decoder, or are flattened into the struct's object.
macro_rules! wire {
    ($case:literal; $(
        $(#[$meta:meta])*
        pub struct $name:ident { $($(#[$attr:meta])* pub $field:ident: $ty:ty),* $(,)? }
        $(custom { $($(#[$custom_attr:meta])* pub $custom:ident: $custom_ty:ty),* $(,)? })?
    )*) => { $(
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default, rename_all = $case)]
        pub struct $name {
            $($(#[$attr])* #[serde(deserialize_with = "crate::wire::null_as_default")] pub $field: $ty,)*
            $($($(#[$custom_attr])* pub $custom: $custom_ty,)*)?
        }
    )* };
    ($($body:tt)*) => { $crate::wire::wire! { "PascalCase"; $($body)* } };
}
pub(crate) use wire;

/// Reads `null` as `T::default()`, as Go does.
pub(crate) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Go's `omitempty`: true for an empty string, list or map, zero, false and `None`.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Writes an empty collection as `null`, as Go does for a slice or map never set.
pub(crate) fn null_when_empty<S, T>(value: &T, serializer: S) -> Result<S::Ok, S::Error>
where
    S: Serializer,
    T: Default + PartialEq + Serialize,
{
    if is_default(value) { serializer.serialize_none() } else { value.serialize(serializer) }
}

/// The value half of Go's `map[string]struct{}`, a set: `{}` on the wire. Anything is accepted when read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Empty;

impl Serialize for Empty {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(std::iter::empty::<((), ())>())
    }
}

impl<'de> Deserialize<'de> for Empty {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

/// An argument vector that may also be sent as one bare string, which then is its only element.
pub(crate) fn string_or_list<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<String>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        One(String),
        Many(Vec<String>),
    }
    Ok(Option::<Form>::deserialize(deserializer)?.map(|form| match form {
        Form::One(word) => vec![word],
        Form::Many(words) => words,
    }))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    wire! {
        #[expect(unreachable_pub, reason = "wire! declares public structs")]
        pub struct Sample {
            pub plain: Vec<String>,
            #[serde(serialize_with = "crate::wire::null_when_empty")]
            pub nullable: Vec<String>,
            #[serde(skip_serializing_if = "crate::wire::is_default")]
            pub omitted: i64,
            pub set: BTreeMap<String, crate::wire::Empty>,
        }
    }

    #[test]
    fn null_missing_and_unknown_fields_read_as_default() {
        for json in
            ["{}", r#"{"Plain":null,"Nullable":null,"Omitted":null,"Set":null}"#, r#"{"Whatever":[1]}"#]
        {
            assert_eq!(serde_json::from_str::<Sample>(json).unwrap(), Sample::default(), "{json}");
        }
    }

    #[test]
    fn empty_values_are_written_as_go_writes_them() {
        let json = serde_json::to_string(&Sample::default()).unwrap();
        assert_eq!(json, r#"{"Plain":[],"Nullable":null,"Set":{}}"#);
    }

    #[test]
    fn set_members_read_from_objects_and_null() {
        let sample: Sample = serde_json::from_str(r#"{"Set":{"80/tcp":{},"81/tcp":null}}"#).unwrap();
        assert_eq!(sample.set.len(), 2);
        assert!(serde_json::to_string(&sample).unwrap().contains(r#""80/tcp":{}"#));
    }
}
