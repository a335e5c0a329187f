//! Images made by hand, byte for byte known.

use barge_oci::manifest::media_type;
use barge_oci::{Descriptor, Digest, Platform};
use serde_json::json;

/// An image and all its blobs.
#[derive(Clone)]
pub(crate) struct Image {
    pub(crate) config: Vec<u8>,
    pub(crate) layers: Vec<Vec<u8>>,
    pub(crate) manifest: Vec<u8>,
}

impl Image {
    /// One layer per size, each with a file of so many bytes that do not compress.
    pub(crate) fn new(name: &str, sizes: &[usize]) -> Self {
        Self::for_platform(name, sizes, &Platform::host())
    }

    pub(crate) fn for_platform(name: &str, sizes: &[usize], platform: &Platform) -> Self {
        let tars: Vec<Vec<u8>> =
            sizes.iter().enumerate().map(|(at, size)| tar(&format!("{name}-{at}"), *size)).collect();
        let layers: Vec<Vec<u8>> = tars.iter().map(|tar| gzip(tar)).collect();
        let diff_ids: Vec<Digest> = tars.iter().map(|tar| Digest::sha256_of(tar)).collect();
        let config = json!({
            "architecture": platform.architecture,
            "variant": platform.variant,
            "os": platform.os,
            "config": {"Cmd": ["/bin/true"], "Labels": {"name": name}},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        let config = serde_json::to_vec(&config).unwrap();
        let descriptors: Vec<Descriptor> =
            layers.iter().map(|layer| Descriptor::of(media_type::OCI_LAYER_GZIP, layer)).collect();
        let manifest = manifest(&Descriptor::of(media_type::OCI_CONFIG, &config), &descriptors);
        Self { config, layers, manifest }
    }

    pub(crate) fn digest(&self) -> Digest {
        Digest::sha256_of(&self.manifest)
    }

    pub(crate) fn descriptors(&self) -> Vec<Descriptor> {
        self.layers.iter().map(|layer| Descriptor::of(media_type::OCI_LAYER_GZIP, layer)).collect()
    }

    /// The same image with other words about its layers.
    pub(crate) fn with_descriptors(&self, descriptors: &[Descriptor]) -> Self {
        let config = Descriptor::of(media_type::OCI_CONFIG, &self.config);
        Self { manifest: manifest(&config, descriptors), ..self.clone() }
    }
}

fn manifest(config: &Descriptor, layers: &[Descriptor]) -> Vec<u8> {
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "config": config,
        "layers": layers,
    });
    serde_json::to_vec_pretty(&manifest).unwrap()
}

/// An index of images for platforms.
pub(crate) fn index(entries: &[(&Image, &str)]) -> Vec<u8> {
    let manifests: Vec<_> = entries
        .iter()
        .map(|(image, platform)| {
            let platform: Platform = platform.parse().unwrap();
            let mut descriptor = Descriptor::of(media_type::OCI_MANIFEST, &image.manifest);
            descriptor.platform = Some(platform);
            descriptor
        })
        .collect();
    let index = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": manifests});
    serde_json::to_vec(&index).unwrap()
}

fn tar(name: &str, size: usize) -> Vec<u8> {
    let mut content = Vec::with_capacity(size);
    let mut seed = Digest::sha256_of(name.as_bytes());
    while content.len() < size {
        content.extend_from_slice(seed.hex().as_bytes());
        seed = Digest::sha256_of(seed.hex().as_bytes());
    }
    content.truncate(size);
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(size as u64);
    header.set_mode(0o644);
    builder.append_data(&mut header, name, content.as_slice()).unwrap();
    builder.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
