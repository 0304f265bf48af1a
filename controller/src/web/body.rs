//! A request's body, read whole: bounded in size and time.

use std::time::Duration;

use axum::body::{Body, Bytes};
use futures::StreamExt as _;

/// Room that is made for a body before it is seen; more is made as it comes.
const FIRST_ROOM: usize = 64 * 1024;

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// More bytes than allowed.
    TooLarge,
    /// It did not end in time.
    TooSlow,
    /// The connection did not deliver it.
    Broken,
}

/// Reads a body of at most `limit` bytes within `patience`.
pub async fn read(body: Body, limit: usize, patience: Duration) -> Result<Bytes, Unread> {
    let announced = axum::body::HttpBody::size_hint(&body).lower();
    if announced > limit as u64 {
        return Err(Unread::TooLarge);
    }
    let collect = async {
        let mut parts = body.into_data_stream();
        let mut bytes = Vec::with_capacity(FIRST_ROOM.min(usize::try_from(announced).unwrap_or(FIRST_ROOM)));
        while let Some(part) = parts.next().await {
            let part = part.map_err(|_| Unread::Broken)?;
            if part.len() > limit - bytes.len() {
                return Err(Unread::TooLarge);
            }
            bytes.extend_from_slice(&part);
        }
        Ok(bytes.into())
    };
    tokio::time::timeout(patience, collect).await.unwrap_or(Err(Unread::TooSlow))
}
