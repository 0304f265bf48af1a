//! Input: a capture file.

use namewarden_agent::replay;

use crate::harness::fuzz;

/// Refused in a sentence, or every frame in exactly one count.
fn target(input: &[u8]) {
    let mut handed_on = 0;
    match replay::read(input, &[53], &mut |_| handed_on += 1) {
        Err(error) => assert_ne!(error.to_string(), ""),
        Ok(counts) => {
            assert_eq!(counts.packets, handed_on);
            let known = counts.packets
                + counts.unknown_link
                + counts.not_ip
                + counts.not_transport
                + counts.other_port
                + counts.malformed
                + counts.fragments;
            assert_eq!(counts.frames + counts.joined, known, "{counts:?}");
        }
    }
}

fn pcap(link: u8, frames: &[&[u8]]) -> Vec<u8> {
    let mut file =
        vec![0xD4, 0xC3, 0xB2, 0xA1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, link, 0, 0, 0];
    for frame in frames {
        let length = u32::try_from(frame.len()).unwrap().to_le_bytes();
        file.extend_from_slice(&[[1, 0, 0, 0], [2, 0, 0, 0], length, length].concat());
        file.extend_from_slice(frame);
    }
    file
}

fn pcapng(frame: &[u8]) -> Vec<u8> {
    let word = |value: usize| u32::try_from(value).unwrap().to_le_bytes();
    let padded = frame.len().next_multiple_of(4);
    let section =
        [word(0x0A0D_0D0A), word(28), word(0x1A2B_3C4D), word(1), [0xFF; 4], [0xFF; 4], word(28)].concat();
    let interface = [word(1), word(20), word(101), word(0), word(20)].concat();
    let head = [word(6), word(32 + padded), word(0), word(0), word(1), word(frame.len()), word(frame.len())]
        .concat();
    let padding = vec![0; padded - frame.len()];
    [&section[..], &interface, &head, frame, &padding, &word(32 + padded)].concat()
}

#[test]
fn no_capture_file_makes_the_replay_panic_or_miscount() {
    let udp = [0x0F, 0xA0, 0, 53, 0, 16, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    let v4 = [&[0x45, 0, 0, 36, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2][..], &udp].concat();
    let first =
        [&[0x45, 0, 0, 28, 0, 1, 0x20, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2][..], &udp[..8]].concat();
    let last =
        [&[0x45, 0, 0, 28, 0, 1, 0, 1, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2][..], &udp[8..]].concat();
    let v6_head = [&[0x60, 0, 0, 0, 0, 24, 0, 64][..], &[0xFD; 32], &[17, 0, 1, 4, 0, 0, 0, 0]].concat();
    let v6 = [&v6_head[..], &udp].concat();
    let ethernet = [&[2; 12][..], &[0x81, 0, 0, 7, 8, 0], &v4].concat();
    let seeds = [
        pcap(101, &[&v4, &v6]),
        pcap(101, &[&first, &last]),
        pcap(1, &[&ethernet]),
        pcap(0, &[&[&[2, 0, 0, 0][..], &v4].concat()]),
        pcapng(&v4),
    ];
    fuzz(&seeds, 30_000, target);
}
