//! `GET /images/{name}/json`.

use barge_api::containers::{GraphDriver, HealthConfig};
use barge_api::descriptor::Descriptor;
use barge_api::images::{ImageConfig, ImageInspect, ImageMetadata, RootFs};
use barge_api::{Empty, time};
use barge_oci::ContainerDefaults;
use barge_oci::image_config::Healthcheck;
use barge_store::Image;
use jiff::Timestamp;

use super::Images;
use crate::error::Result;

impl Images {
    /// Everything known of an image.
    ///
    /// # Errors
    /// 404 if there is none of that name.
    pub async fn inspect(&self, name: &str) -> Result<ImageInspect> {
        Ok(view(&self.resolve(name).await?))
    }
}

fn view(image: &Image) -> ImageInspect {
    let config = &image.config;
    let number = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    // As Docker: an image that says nothing of itself is described by its last step.
    let last_step = config.history.last().map(|step| step.comment.clone()).unwrap_or_default();
    let comment = if config.comment.is_empty() { last_step } else { config.comment.clone() };
    ImageInspect {
        id: image.id.to_string(),
        repo_tags: image.tags.iter().map(barge_oci::Reference::familiar).collect(),
        repo_digests: image.repo_digests.clone(),
        parent: image.parent.map(|parent| parent.to_string()).unwrap_or_default(),
        comment,
        created: image.created.map(|created| created.to_string()).unwrap_or_default(),
        docker_version: text(&config.other, "docker_version"),
        author: config.author.clone(),
        config: Some(defaults(&config.config)),
        architecture: config.architecture.clone(),
        variant: config.variant.clone(),
        os: config.os.clone(),
        os_version: config.os_version.clone(),
        size: number(image.size),
        virtual_size: number(image.size),
        graph_driver: Some(GraphDriver { name: "overlay2".to_owned(), ..GraphDriver::default() }),
        root_fs: RootFs {
            kind: "layers".to_owned(),
            layers: image.diff_ids.iter().map(ToString::to_string).collect(),
        },
        metadata: ImageMetadata { last_tag_time: moment(image.last_tagged) },
        descriptor: Some(Descriptor {
            media_type: image.manifest_media_type.clone(),
            digest: image.manifest.to_string(),
            size: number(image.manifest_size),
            ..Descriptor::default()
        }),
        ..ImageInspect::default()
    }
}

fn moment(time: Option<Timestamp>) -> String {
    time.map_or_else(|| time::NEVER.to_owned(), |time| time.to_string())
}

fn text(other: &serde_json::Map<String, serde_json::Value>, key: &str) -> String {
    other.get(key).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
}

fn defaults(config: &ContainerDefaults) -> ImageConfig {
    ImageConfig {
        user: config.user.clone(),
        exposed_ports: config.exposed_ports.keys().map(|port| (port.clone(), Empty {})).collect(),
        env: config.env.clone(),
        healthcheck: config.healthcheck.as_ref().map(healthcheck),
        args_escaped: config.args_escaped,
        volumes: config.volumes.keys().map(|path| (path.clone(), Empty {})).collect(),
        working_dir: config.working_dir.clone(),
        on_build: config.on_build.clone(),
        labels: config.labels.clone(),
        stop_signal: config.stop_signal.clone(),
        cmd: config.cmd.clone(),
        entrypoint: config.entrypoint.clone(),
        shell: config.shell.clone(),
    }
}

fn healthcheck(check: &Healthcheck) -> HealthConfig {
    HealthConfig {
        test: check.test.clone(),
        interval: check.interval,
        timeout: check.timeout,
        start_period: check.start_period,
        start_interval: check.start_interval,
        retries: check.retries,
    }
}
