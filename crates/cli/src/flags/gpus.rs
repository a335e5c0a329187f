//! `--gpus all`, `--gpus 2`, `--gpus 'device=0,1'`.

use barge_api::containers::DeviceRequest;

use super::csv;
use super::value::Value;

/// All `--gpus` flags of a command.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Gpus(pub(crate) Vec<DeviceRequest>);

impl Value for Gpus {
    const KIND: &'static str = "gpu-request";

    fn set(&mut self, text: &str) -> Result<(), String> {
        let mut request = DeviceRequest::default();
        let mut capabilities = vec!["gpu".to_owned()];
        let mut seen = Vec::new();
        for field in csv::fields(text)? {
            let (key, value) = match field.split_once('=') {
                Some((key, value)) => (key, value.to_owned()),
                None => ("count", field.clone()),
            };
            if seen.iter().any(|before| before == key) {
                return Err(format!("gpu request key '{key}' can be specified only once"));
            }
            seen.push(key.to_owned());
            match key {
                "driver" => request.driver = value,
                "count" if value == "all" => request.count = -1,
                "count" => {
                    request.count = value.parse().map_err(|_| {
                        format!("invalid count ({value}): value must be either \"all\" or an integer")
                    })?;
                }
                "device" => request.device_ids = value.split(',').map(str::to_owned).collect(),
                "capabilities" => capabilities.extend(value.split(',').map(str::to_owned)),
                "options" => {
                    for option in csv::fields(&value)? {
                        let (name, value) = option.split_once('=').unwrap_or((&option, ""));
                        request.options.insert(name.to_owned(), value.to_owned());
                    }
                }
                _ => return Err(format!("unexpected key '{key}' in '{field}'")),
            }
        }
        if !seen.iter().any(|key| key == "count") && request.device_ids.is_empty() {
            request.count = 1;
        }
        capabilities.dedup();
        request.capabilities = vec![capabilities];
        self.0.push(request);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests() {
        let mut gpus = Gpus::default();
        for text in ["all", "2", r#""device=0,1""#, "driver=nvidia,\"capabilities=gpu,utility\""] {
            gpus.set(text).unwrap();
        }
        assert_eq!(gpus.0.iter().map(|request| request.count).collect::<Vec<_>>(), [-1, 2, 0, 1]);
        assert_eq!(gpus.0[2].device_ids, ["0", "1"]);
        assert_eq!(gpus.0[3].capabilities, [["gpu", "utility"]]);
        assert!(Gpus::default().set("some").is_err());
    }
}
