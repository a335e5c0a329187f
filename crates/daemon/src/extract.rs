//! What handlers take from a request, read as leniently and as strictly as dockerd does.

use std::str::FromStr;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Request, header};
use barge_api::system::AuthConfig;
use barge_api::{ApiVersion, Filters};
use barge_engine::Error;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use http_body_util::{BodyExt, Limited};
use serde::de::DeserializeOwned;

use crate::failure::Failure;

/// The longest JSON body that is read: far more than any client needs, far less than the host's memory.
const JSON_LIMIT: usize = 16 << 20;

/// The version the request speaks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Speaks(pub(crate) ApiVersion);

impl<S: Sync> FromRequestParts<S> for Speaks {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        Ok(Self(parts.extensions.get::<ApiVersion>().copied().unwrap_or_default()))
    }
}

/// The query's parameters, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let pairs = axum::extract::Query::try_from_uri(&parts.uri);
        pairs
            .map(|axum::extract::Query(pairs)| Self(pairs))
            .map_err(|error| Error::invalid(error.to_string()).into())
    }
}

impl Query {
    /// The first value of a parameter that is there and not empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.all(name).next().filter(|value| !value.is_empty())
    }

    /// All values of a parameter.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Anything but the usual words for no is yes.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.text(name).is_some_and(is_true)
    }

    /// The same for a parameter that means yes when it is missing.
    pub(crate) fn flag_or(&self, name: &str, default: bool) -> bool {
        self.all(name).next().map_or(default, is_true)
    }

    /// A number, if the parameter is there.
    pub(crate) fn number<N: FromStr>(&self, name: &str) -> Result<Option<N>, Failure> {
        let parse = |text: &str| {
            let refuse = || Error::invalid(format!("invalid value for {name}: \"{text}\" is not a number"));
            text.parse().map_err(|_| refuse())
        };
        Ok(self.text(name).map(parse).transpose()?)
    }

    /// The `filters` parameter.
    pub(crate) fn filters(&self) -> Result<Filters, Failure> {
        let text = self.text("filters").unwrap_or_default();
        Filters::parse(text).map_err(|error| Error::invalid(error.to_string()).into())
    }
}

fn is_true(text: &str) -> bool {
    !matches!(text.trim().to_ascii_lowercase().as_str(), "" | "0" | "no" | "false" | "none")
}

/// A JSON body; one that is not there is all defaults.
#[derive(Clone, Debug, Default)]
pub(crate) struct Json<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned + Default> FromRequest<S> for Json<T> {
    type Rejection = Failure;

    async fn from_request(request: Request<Body>, _: &S) -> Result<Self, Failure> {
        Ok(read_json(request).await?.map_or_else(Self::default, Self))
    }
}

/// A JSON body that must be there.
#[derive(Clone, Debug)]
pub(crate) struct RequiredJson<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for RequiredJson<T> {
    type Rejection = Failure;

    async fn from_request(request: Request<Body>, _: &S) -> Result<Self, Failure> {
        let body = read_json(request).await?;
        let missing = || Error::invalid("invalid JSON: got EOF while reading request body");
        Ok(Self(body.ok_or_else(missing)?))
    }
}

/// Reads a body that ends before something else begins on the connection.
pub(crate) async fn read_json<T: DeserializeOwned>(request: Request<Body>) -> Result<Option<T>, Failure> {
    let (parts, body) = request.into_parts();
    let bytes = Limited::new(body, JSON_LIMIT).collect().await;
    let bytes = bytes.map_err(|error| Error::invalid(format!("http: {error}")))?.to_bytes();
    parse_json(&parts.headers, &bytes)
}

fn parse_json<T: DeserializeOwned>(headers: &HeaderMap, bytes: &[u8]) -> Result<Option<T>, Failure> {
    let content_type =
        headers.get(header::CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()));
    if bytes.is_empty() && content_type.is_none() {
        return Ok(None);
    }
    check_content_type(content_type.as_deref().unwrap_or_default())?;
    if bytes.is_empty() {
        return Ok(None);
    }
    let invalid = |reason: String| Error::invalid(format!("invalid JSON: {reason}"));
    if bytes.trim_ascii().is_empty() {
        return Err(invalid("got EOF while reading request body".to_owned()).into());
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = T::deserialize(&mut reader).map_err(|error| invalid(error.to_string()))?;
    reader.end().map_err(|_| Error::invalid("unexpected content after JSON"))?;
    Ok(Some(value))
}

fn check_content_type(text: &str) -> Result<(), Error> {
    let kind = text.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    if kind.is_empty() {
        return Err(Error::invalid(format!("malformed Content-Type header ({text}): mime: no media type")));
    }
    let expected = "must be 'application/json'";
    Err(Error::invalid(format!("unsupported Content-Type header ({text}): {expected}")))
}

/// The credentials of the `X-Registry-Auth` header. What can't be read counts as none, as in dockerd: clients send
/// all kinds of empty values.
pub(crate) fn registry_auth(headers: &HeaderMap) -> Option<AuthConfig> {
    let text = headers.get(barge_api::system::header::REGISTRY_AUTH)?.to_str().ok()?;
    let bytes = [URL_SAFE, URL_SAFE_NO_PAD, STANDARD, STANDARD_NO_PAD]
        .iter()
        .find_map(|encoding| encoding.decode(text.trim()).ok())?;
    let auth: AuthConfig = serde_json::from_slice(&bytes).ok()?;
    (auth != AuthConfig::default()).then_some(auth)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use serde_json::Value;

    use super::*;

    fn query(text: &str) -> Query {
        let uri = format!("/x?{text}").parse().unwrap();
        Query(axum::extract::Query::try_from_uri(&uri).unwrap().0)
    }

    #[test]
    fn parameters() {
        let query = query("all=1&size=False&v=&names=a&names=b%2Fc&t=-1&h=x&force=none");
        assert!(query.flag("all") && !query.flag("size") && !query.flag("v") && !query.flag("force"));
        assert!(query.flag_or("stream", true) && !query.flag_or("size", true));
        assert_eq!(query.all("names").collect::<Vec<_>>(), ["a", "b/c"]);
        assert_eq!(query.number::<i64>("t").unwrap(), Some(-1));
        assert_eq!(query.number::<i64>("missing").unwrap(), None);
        assert!(query.number::<u16>("h").is_err());
    }

    #[test]
    fn json_bodies() {
        type Read = Result<Option<&'static str>, &'static str>;
        let cases: [(&str, &str, Read); 8] = [
            ("", "", Ok(None)),
            ("application/json", "", Ok(None)),
            ("application/json; charset=utf-8", "{\"a\":1}\n", Ok(Some("{\"a\":1}"))),
            (
                "text/plain",
                "{}",
                Err("unsupported Content-Type header (text/plain): must be 'application/json'"),
            ),
            ("", "{}", Err("malformed Content-Type header (): mime: no media type")),
            ("application/json", " ", Err("invalid JSON: got EOF while reading request body")),
            ("application/json", "{} {}", Err("unexpected content after JSON")),
            ("application/json", "{", Err("invalid JSON: EOF while parsing an object at line 1 column 1")),
        ];
        for (content_type, body, expected) in cases {
            let mut headers = HeaderMap::new();
            if !content_type.is_empty() {
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
            }
            let found = parse_json::<Value>(&headers, body.as_bytes());
            let found =
                found.map(|value| value.map(|value| value.to_string())).map_err(|error| error.to_string());
            assert_eq!(found.as_ref().map(Option::as_deref).map_err(String::as_str), expected, "{body}");
        }
    }

    #[test]
    fn credentials() {
        let header = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-registry-auth", text.parse().unwrap());
            registry_auth(&headers)
        };
        let json = r#"{"username":"alice","password":"s?c>ret"}"#;
        for text in [URL_SAFE.encode(json), URL_SAFE_NO_PAD.encode(json), STANDARD.encode(json)] {
            assert_eq!(header(&text).unwrap().username, "alice");
        }
        for text in
            [URL_SAFE.encode("{}"), "e30=".to_owned(), "null".to_owned(), "***".to_owned(), String::new()]
        {
            assert_eq!(header(&text), None, "{text}");
        }
    }
}
