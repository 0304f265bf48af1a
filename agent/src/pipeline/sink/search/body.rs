//! Documents -> the packed body of a `_bulk` request.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::pipeline::sink::spool::{Batch, Item};

/// Fast, and JSON that repeats itself packs well even so.
const LEVEL: Compression = Compression::fast();

/// The body that creates `items`, packed by gzip.
pub fn packed(batch: &Batch, items: &[Item]) -> io::Result<Vec<u8>> {
    let mut packer = GzEncoder::new(Vec::with_capacity(batch.bytes.len() / 8), LEVEL);
    let mut action = Vec::with_capacity(128);
    for item in items {
        action.clear();
        action.extend_from_slice(b"{\"create\":{\"_id\":");
        serde_json::to_writer(&mut action, &id(batch, item))?;
        action.extend_from_slice(b"}}\n");
        packer.write_all(&action)?;
        packer.write_all(document(batch, item))?;
        packer.write_all(b"\n")?;
    }
    packer.finish()
}

/// The `_id` of an item.
pub fn id(batch: &Batch, item: &Item) -> String {
    String::from_utf8_lossy(batch.bytes.get(item.id.clone()).unwrap_or_default()).into_owned()
}

/// The JSON of an item.
pub fn document<'a>(batch: &'a Batch, item: &Item) -> &'a [u8] {
    batch.bytes.get(item.document.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::pipeline::sink::spool::Kind;

    #[test]
    fn every_document_is_created_under_its_own_id() {
        let bytes = b"a\"1{\"x\":1}b{}".to_vec();
        let item = |sequence, id, document| Item { sequence, id, document, uncertain: false };
        let items = vec![item(0, 0..3, 3..10), item(1, 10..11, 11..13)];
        let batch = Batch { kind: Kind::Alerts, bytes, items };
        let body = packed(&batch, &batch.items).unwrap();
        let mut text = String::new();
        flate2::read::GzDecoder::new(body.as_slice()).read_to_string(&mut text).unwrap();
        assert_eq!(text, "{\"create\":{\"_id\":\"a\\\"1\"}}\n{\"x\":1}\n{\"create\":{\"_id\":\"b\"}}\n{}\n");
    }
}
