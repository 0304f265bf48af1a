//! An image as one file: the layout of the OCI image specification 1.1 as a tar archive, with the list that `docker load`
//! of older versions looks for beside it. The same image gives the same bytes.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::layer::{Layer, Node};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// The operating system of a gzip header, "unknown": it must not tell where the image was made (RFC 1952, 2.3.1).
const UNKNOWN: u8 = 255;

/// What an image is made of.
#[derive(Debug)]
pub struct Image {
    /// Its name without a registry, as `namewarden-agent`.
    pub name: String,
    /// Its tag.
    pub tag: String,
    /// As Go calls it, `amd64` or `arm64`.
    pub architecture: &'static str,
    /// Its files.
    pub layer: Layer,
    /// User and group by number.
    pub user: String,
    /// What is run.
    pub entrypoint: Vec<String>,
    /// Its environment, `KEY=VALUE`.
    pub environment: Vec<String>,
    /// Where it is run.
    pub folder: String,
    /// When it was made, in RFC 3339; told, never read off a clock.
    pub created: String,
    /// What it says of itself.
    pub labels: BTreeMap<String, String>,
    /// Packed, for it travels; else it is quicker to make.
    pub is_packed: bool,
}

/// A file of the layout by its digest.
struct Blob {
    digest: String,
    bytes: Vec<u8>,
}

impl Blob {
    fn of(bytes: Vec<u8>) -> Self {
        Self { digest: digest(&bytes), bytes }
    }

    fn path(&self) -> String {
        format!("blobs/sha256/{}", self.digest)
    }

    fn descriptor(&self, media_type: &str) -> Value {
        json!({
            "mediaType": media_type,
            "digest": format!("sha256:{}", self.digest),
            "size": self.bytes.len(),
        })
    }
}

fn digest(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(bytes))
}

/// Writes the archive of one image; its size in bytes.
pub fn write(image: &Image, path: &Path) -> Result<usize> {
    put_in_place(&archive(image)?, path)
}

/// Writes an archive of the same image for several processors, with an index over them under the image's name; its size in bytes.
pub fn write_index(images: &[Image], path: &Path) -> Result<usize> {
    put_in_place(&index_archive(images)?, path)
}

fn put_in_place(bytes: &[u8], path: &Path) -> Result<usize> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    // Renamed, so that an image that is there is whole.
    let draft = path.with_extension("draft");
    fs::write(&draft, bytes).with_context(|| format!("cannot write {}", draft.display()))?;
    fs::rename(&draft, path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(bytes.len())
}

/// The archive's bytes.
pub fn archive(image: &Image) -> Result<Vec<u8>> {
    let parts = parts(image)?;
    let list = serde_json::to_vec(&list(image, &parts.config, &parts.layer))?;
    let named = with_name(described(image, &parts.manifest), image);
    layout(&named, parts.into(), Some(list))
}

/// The same with an index over `images`, which differ in their processors alone. What docker looked for knows no such thing.
fn index_archive(images: &[Image]) -> Result<Vec<u8>> {
    let first = images.first().context("an index over no image")?;
    let (mut blobs, mut manifests) = (Vec::new(), Vec::new());
    for image in images {
        let parts = parts(image)?;
        manifests.push(described(image, &parts.manifest));
        blobs.extend(<[Blob; 3]>::from(parts));
    }
    let mut index = index(&manifests);
    annotate(&mut index, &first.labels);
    let index = Blob::of(serde_json::to_vec(&index)?);
    let named = with_name(index.descriptor(INDEX), first);
    blobs.push(index);
    layout(&named, blobs, None)
}

/// The files that make up an image.
struct Parts {
    config: Blob,
    layer: Blob,
    manifest: Blob,
}

impl From<Parts> for [Blob; 3] {
    fn from(parts: Parts) -> Self {
        [parts.config, parts.layer, parts.manifest]
    }
}

impl From<Parts> for Vec<Blob> {
    fn from(parts: Parts) -> Self {
        <[Blob; 3]>::from(parts).into()
    }
}

fn parts(image: &Image) -> Result<Parts> {
    let files = image.layer.archive()?;
    let diff = format!("sha256:{}", digest(&files));
    let (layer, layer_type) = if image.is_packed {
        (Blob::of(pack(&files)?), format!("{LAYER}+gzip"))
    } else {
        (Blob::of(files), LAYER.to_owned())
    };
    let config = Blob::of(serde_json::to_vec(&config(image, &diff))?);
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config.descriptor(CONFIG),
        "layers": [layer.descriptor(&layer_type)],
    });
    annotate(&mut manifest, &image.labels);
    let manifest = Blob::of(serde_json::to_vec(&manifest)?);
    Ok(Parts { config, layer, manifest })
}

/// Registries show annotations, engines labels: they say the same.
fn annotate(object: &mut Value, labels: &BTreeMap<String, String>) {
    if let Some(fields) = object.as_object_mut().filter(|_| !labels.is_empty()) {
        fields.insert("annotations".to_owned(), json!(labels));
    }
}

/// The whole: what `named` leads to, and what docker looks for where there is such a thing.
fn layout(named: &Value, blobs: Vec<Blob>, list: Option<Vec<u8>>) -> Result<Vec<u8>> {
    let mut archive = Layer::default();
    let mut put = |path: &str, bytes: Vec<u8>| archive.put(path, Node::File(0o644, bytes));
    put("oci-layout", serde_json::to_vec(&json!({ "imageLayoutVersion": "1.0.0" }))?);
    put("index.json", serde_json::to_vec(&index(std::slice::from_ref(named)))?);
    if let Some(list) = list {
        put("manifest.json", list);
    }
    for blob in blobs {
        put(&blob.path(), blob.bytes);
    }
    archive.archive()
}

fn config(image: &Image, diff: &str) -> Value {
    let mut config = json!({
        "created": image.created,
        "architecture": image.architecture,
        "os": "linux",
        "config": {
            "User": image.user,
            "Entrypoint": image.entrypoint,
            "Env": image.environment,
            "WorkingDir": image.folder,
            "Labels": image.labels,
        },
        "rootfs": { "type": "layers", "diff_ids": [diff] },
        "history": [{ "created": image.created, "comment": "files, without a container builder" }],
    });
    if image.architecture == "arm64"
        && let Some(fields) = config.as_object_mut()
    {
        fields.insert("variant".to_owned(), json!("v8"));
    }
    config
}

/// What an index says of an image.
fn described(image: &Image, manifest: &Blob) -> Value {
    let mut descriptor = manifest.descriptor(MANIFEST);
    let mut platform = json!({ "architecture": image.architecture, "os": "linux" });
    if image.architecture == "arm64"
        && let Some(fields) = platform.as_object_mut()
    {
        fields.insert("variant".to_owned(), json!("v8"));
    }
    if let Some(fields) = descriptor.as_object_mut() {
        fields.insert("platform".to_owned(), platform);
    }
    descriptor
}

/// containerd takes the name from its own annotation, podman from the specification's.
fn with_name(mut descriptor: Value, image: &Image) -> Value {
    let name = format!("docker.io/library/{}:{}", image.name, image.tag);
    if let Some(fields) = descriptor.as_object_mut() {
        fields.insert(
            "annotations".to_owned(),
            json!({ "io.containerd.image.name": name, "org.opencontainers.image.ref.name": name }),
        );
    }
    descriptor
}

fn index(manifests: &[Value]) -> Value {
    json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests })
}

/// What `docker save` writes.
fn list(image: &Image, config: &Blob, layer: &Blob) -> Value {
    json!([{
        "Config": config.path(),
        "RepoTags": [format!("{}:{}", image.name, image.tag)],
        "Layers": [layer.path()],
    }])
}

/// gzip without name, time and operating system.
fn pack(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut packer =
        GzBuilder::new().mtime(0).operating_system(UNKNOWN).write(Vec::new(), Compression::best());
    packer.write_all(bytes)?;
    Ok(packer.finish()?)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn image(is_packed: bool) -> Image {
        let mut layer = Layer::default();
        layer.put("usr/bin/program", Node::File(0o755, b"program".to_vec()));
        Image {
            name: "thing".to_owned(),
            tag: "1.2".to_owned(),
            architecture: "arm64",
            layer,
            user: "65532:65532".to_owned(),
            entrypoint: vec!["/usr/bin/program".to_owned()],
            environment: vec!["PATH=/usr/bin".to_owned()],
            folder: "/".to_owned(),
            created: "2026-01-02T03:04:05Z".to_owned(),
            labels: BTreeMap::from([("org.opencontainers.image.version".to_owned(), "1.2".to_owned())]),
            is_packed,
        }
    }

    fn unpacked(bytes: &[u8]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("image.tar");
        fs::write(&file, bytes).unwrap();
        let mut tar = Command::new("tar");
        assert!(tar.arg("-xf").arg(&file).arg("-C").arg(folder.path()).status().unwrap().success());
        folder
    }

    fn read(folder: &Path, name: &str) -> Value {
        serde_json::from_slice(&fs::read(folder.join(name)).unwrap()).unwrap()
    }

    fn place(descriptor: &Value) -> String {
        descriptor["digest"].as_str().unwrap().replace("sha256:", "blobs/sha256/")
    }

    #[test]
    fn the_index_leads_to_manifest_configuration_and_files() {
        let folder = unpacked(&archive(&image(true)).unwrap());
        let index = read(folder.path(), "index.json");
        let first = &index["manifests"][0];
        assert_eq!(first["annotations"]["io.containerd.image.name"], "docker.io/library/thing:1.2");
        let manifest = read(folder.path(), &place(first));
        let config = read(folder.path(), &place(&manifest["config"]));
        assert_eq!(config["config"]["User"], "65532:65532");
        assert_eq!(config["variant"], "v8");
        let layer = fs::read(folder.path().join(place(&manifest["layers"][0]))).unwrap();
        assert_eq!(manifest["layers"][0]["size"], layer.len());
        let mut files = Vec::new();
        std::io::copy(&mut flate2::read::GzDecoder::new(layer.as_slice()), &mut files).unwrap();
        assert_eq!(config["rootfs"]["diff_ids"][0], format!("sha256:{}", digest(&files)));
    }

    #[test]
    fn an_index_leads_to_the_image_of_each_processor() {
        let both = || [Image { architecture: "amd64", ..image(true) }, image(true)];
        let bytes = index_archive(&both()).unwrap();
        assert_eq!(bytes, index_archive(&both()).unwrap());
        let folder = unpacked(&bytes);
        let top = read(folder.path(), "index.json");
        assert_eq!(top["manifests"].as_array().unwrap().len(), 1, "one name, one thing that bears it");
        assert_eq!(top["manifests"][0]["mediaType"], INDEX);
        assert_eq!(
            top["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"],
            "docker.io/library/thing:1.2"
        );
        let index = read(folder.path(), &place(&top["manifests"][0]));
        assert_eq!(index["annotations"]["org.opencontainers.image.version"], "1.2");
        let mut seen = Vec::new();
        for descriptor in index["manifests"].as_array().unwrap() {
            let manifest = read(folder.path(), &place(descriptor));
            assert_eq!(manifest["annotations"]["org.opencontainers.image.version"], "1.2");
            let config = read(folder.path(), &place(&manifest["config"]));
            assert_eq!(config["architecture"], descriptor["platform"]["architecture"]);
            assert_eq!(config["variant"], descriptor["platform"]["variant"]);
            let layer = fs::read(folder.path().join(place(&manifest["layers"][0]))).unwrap();
            assert_eq!(manifest["layers"][0]["digest"], format!("sha256:{}", digest(&layer)));
            seen.push(config["architecture"].as_str().unwrap().to_owned());
        }
        assert_eq!(seen, ["amd64", "arm64"]);
        assert!(!folder.path().join("manifest.json").exists());
    }

    #[test]
    fn docker_finds_the_same_files() {
        let folder = unpacked(&archive(&image(false)).unwrap());
        let list = read(folder.path(), "manifest.json");
        assert_eq!(list[0]["RepoTags"][0], "thing:1.2");
        assert!(folder.path().join(list[0]["Layers"][0].as_str().unwrap()).exists());
        assert!(folder.path().join(list[0]["Config"].as_str().unwrap()).exists());
    }

    #[test]
    fn the_same_image_gives_the_same_bytes() {
        assert_eq!(archive(&image(true)).unwrap(), archive(&image(true)).unwrap());
    }
}
