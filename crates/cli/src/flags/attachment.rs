//! `--network NAME` or `--network name=NAME,alias=web,ip=10.0.0.2`.

use std::collections::BTreeMap;

use super::csv;
use super::value::Value;

/// One network a container is to join.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attachment {
    pub(crate) target: String,
    pub(crate) aliases: Vec<String>,
    pub(crate) driver_opts: BTreeMap<String, String>,
    pub(crate) ipv4: String,
    pub(crate) ipv6: String,
    pub(crate) link_local: Vec<String>,
    pub(crate) mac: String,
    pub(crate) links: Vec<String>,
    pub(crate) gw_priority: i64,
}

/// All `--network` flags of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attachments(pub(crate) Vec<Attachment>);

impl Value for Attachments {
    const KIND: &'static str = "network";

    fn set(&mut self, text: &str) -> Result<(), String> {
        let mut attachment = Attachment::default();
        if !is_long(text) {
            text.clone_into(&mut attachment.target);
            self.0.push(attachment);
            return Ok(());
        }
        for field in csv::fields(text)? {
            let lower = field.to_ascii_lowercase();
            let (key, value) = match lower.split_once('=') {
                Some((key, value)) if !key.is_empty() => (key.trim(), value.trim().to_owned()),
                _ => return Err(format!("invalid field {field}")),
            };
            match key {
                "name" => attachment.target = value,
                "alias" => attachment.aliases.push(value),
                "ip" => attachment.ipv4 = value,
                "ip6" => attachment.ipv6 = value,
                "mac-address" => attachment.mac = value,
                "link-local-ip" => attachment.link_local.push(value),
                "driver-opt" => {
                    let (key, value) = value
                        .split_once('=')
                        .filter(|(key, _)| !key.is_empty())
                        .ok_or("invalid key value pair format in driver options")?;
                    attachment.driver_opts.insert(key.trim().to_owned(), value.trim().to_owned());
                }
                "gw-priority" => {
                    attachment.gw_priority = value
                        .parse()
                        .map_err(|_| format!("invalid gw-priority ({value}): invalid syntax"))?;
                }
                _ => return Err(format!("invalid field key {key}")),
            }
        }
        if attachment.target.is_empty() {
            return Err("network name/id is not specified".to_owned());
        }
        self.0.push(attachment);
        Ok(())
    }
}

/// Whether somewhere in it a word stands before and after an equals sign.
fn is_long(text: &str) -> bool {
    let word = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let bytes = text.as_bytes();
    (1..bytes.len())
        .any(|at| bytes[at] == b'=' && word(bytes.get(at - 1).copied()) && word(bytes.get(at + 1).copied()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Attachment, String> {
        let mut attachments = Attachments::default();
        attachments.set(text).map(|()| attachments.0.remove(0))
    }

    #[test]
    fn short_and_long() {
        assert_eq!(read("host").unwrap().target, "host");
        assert_eq!(read("container:abc").unwrap().target, "container:abc");
        let long = read("name=net,alias=web,alias=www,ip=10.0.0.2,gw-priority=2,driver-opt=a.b=c").unwrap();
        assert_eq!((long.target.as_str(), long.ipv4.as_str(), long.gw_priority), ("net", "10.0.0.2", 2));
        assert_eq!(long.aliases, ["web", "www"]);
        assert_eq!(long.driver_opts["a.b"], "c");
    }

    #[test]
    fn refusals() {
        for text in ["alias=web", "name=net,colour=red", "name=net,gw-priority=x", "name=net,driver-opt=a"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
