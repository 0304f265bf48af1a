//! Random well-formed DNS messages: every common record type, compressed and uncompressed names, EDNS, updates.

use std::collections::HashMap;

use crate::dice::Dice;

/// Record types whose data is made here; numbers as in the IANA registry.
const KINDS: &[u16] = &[
    1, 1, 1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 12, 13, 14, 15, 16, 16, 17, 18, 19, 20, 21, 25, 26, 28, 28, 29, 33,
    35, 36, 37, 39, 42, 43, 44, 46, 47, 48, 49, 50, 51, 52, 53, 59, 60, 61, 62, 63, 64, 65, 99, 104, 105,
    106, 107, 108, 109, 256, 257, 10, 65_280, 65_399,
];

/// Labels of a name, first to last.
type Name = Vec<Vec<u8>>;

/// A message under construction; knows where each suffix stands, for compression.
struct Encoder<'d> {
    dice: &'d mut Dice,
    bytes: Vec<u8>,
    suffixes: HashMap<Name, u16>,
    /// Names of one message share their ends, or compression would have nothing to do.
    zones: Vec<Name>,
}

/// A random query, or answer to it, of the given identifier.
pub fn message(dice: &mut Dice, id: u16, response: bool, size: usize) -> Vec<u8> {
    let zones = (0..3).map(|_| (0..=dice.below(2)).map(|_| label(dice)).collect()).collect();
    let mut encoder = Encoder { dice, bytes: id.to_be_bytes().to_vec(), suffixes: HashMap::new(), zones };
    encoder.message(response, size);
    encoder.bytes
}

fn label(dice: &mut Dice) -> Vec<u8> {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    let length = if dice.chance(3) { 63 } else { 1 + dice.below(12) };
    (0..length).map(|_| dice.pick(LETTERS)).collect()
}

impl Encoder<'_> {
    fn message(&mut self, response: bool, size: usize) {
        let opcode = self.dice.pick(&[0_u16, 0, 0, 0, 0, 4, 5]);
        let code = if response { self.dice.pick(&[0_u16, 0, 0, 2, 3, 5, 9]) } else { 0 };
        // All flags but the reserved bit.
        let flags = self.dice.u16() & 0x07B0 | u16::from(response) << 15 | opcode << 11 | code;
        let records = [0; 3].map(|_: u8| if response || opcode == 5 { self.dice.below(size) } else { 0 });
        let edns = self.dice.chance(60);
        self.u16(flags);
        self.u16(1);
        for (section, count) in records.into_iter().enumerate() {
            self.u16(u16::try_from(count).unwrap() + u16::from(section == 2 && edns));
        }
        self.name(true);
        let asked = if opcode == 5 { 6 } else { self.dice.pick(KINDS) };
        self.u16(asked);
        self.u16(1);
        for (section, count) in records.into_iter().enumerate() {
            for _ in 0..count {
                self.record(opcode == 5 && section < 2);
            }
        }
        if edns {
            self.edns();
        }
    }

    fn record(&mut self, update: bool) {
        self.name(true);
        let kind = self.dice.pick(KINDS);
        self.u16(kind);
        let empty = update && self.dice.chance(30);
        let class = if empty { self.dice.pick(&[254, 255]) } else { self.dice.pick(&[1, 1, 1, 1, 3]) };
        self.u16(class);
        let ttl = self.dice.u32() >> 1;
        self.u32(if empty { 0 } else { ttl });
        let length = self.open();
        if !empty {
            self.data(kind);
        }
        self.close(length);
    }

    fn edns(&mut self) {
        self.bytes.push(0);
        self.u16(41);
        self.u16(1232);
        let dnssec = self.dice.u16() & 0x8000;
        // An extended response code makes sense in answers, but readers show it anyway.
        let extended = self.dice.pick(&[0, 0, 0, 1]);
        self.bytes.extend_from_slice(&[extended, 0]);
        self.u16(dnssec);
        let length = self.open();
        for _ in 0..self.dice.below(4) {
            let (code, size) = match self.dice.below(5) {
                0 => (10, 8 + self.dice.pick(&[0, 8, 16])),
                1 => (3, self.dice.below(12)),
                2 => (12, self.dice.below(30)),
                3 => (65_001, self.dice.below(9)),
                _ => (15, 2),
            };
            self.u16(code);
            self.u16(u16::try_from(size).unwrap());
            let value = if code == 12 { vec![0; size] } else { self.dice.bytes(size) };
            self.bytes.extend_from_slice(&value);
        }
        self.close(length);
    }

    #[expect(clippy::too_many_lines, reason = "a table: one line for each record type")]
    fn data(&mut self, kind: u16) {
        match kind {
            1 => self.random(4),
            2..=5 | 7..=9 | 12 => self.name(true),
            6 => {
                self.name(true);
                self.name(true);
                self.random(20);
            }
            10 | 49 | 61 | 65_280.. => self.random_to(40),
            13 | 20 => self.numbered(kind),
            14 => {
                self.name(true);
                self.name(true);
            }
            15 | 18 | 21 | 36 | 107 => {
                self.random(2);
                self.name(kind == 15);
            }
            16 | 99 => {
                let count = 1 + self.dice.below(4);
                self.strings(count);
            }
            17 => {
                self.name(false);
                self.name(false);
            }
            19 => self.strings(1),
            25 | 48 | 60 => self.key(),
            26 => {
                self.random(2);
                self.name(false);
                self.name(false);
            }
            28 => self.random(16),
            29 => self.location(),
            33 => {
                self.random(6);
                self.name(false);
            }
            35 => {
                self.random(4);
                self.strings(3);
                self.name(false);
            }
            37 => {
                self.random(5);
                self.random_to(40);
            }
            39 => self.name(false),
            42 => self.prefixes(),
            43 | 59 => {
                self.random(4);
                self.random(32);
            }
            44 => {
                self.random(2);
                self.random(20);
            }
            46 => self.signature(),
            47 => {
                self.name(false);
                self.bitmap();
            }
            50 => {
                self.random(4);
                self.string(8);
                let length = 1 + self.dice.below(20);
                self.bytes.push(u8::try_from(length).unwrap());
                self.random(length);
                self.bitmap();
            }
            51 => {
                self.random(4);
                self.string(8);
            }
            52 | 53 => {
                self.random(3);
                self.random_to(32);
            }
            62 => {
                self.random(4);
                // Flags beyond the two that are defined.
                let flags = self.dice.u16() & 3;
                self.u16(flags);
                self.bitmap();
            }
            63 => {
                self.random(6);
                self.random(48);
            }
            64 | 65 => self.service(),
            104 | 106 => self.random(10),
            105 | 108 => self.random(6),
            109 => self.random(8),
            256 => {
                self.random(4);
                self.text(30);
            }
            257 => self.authorization(),
            _ => unreachable!("type {kind} is not in the list"),
        }
    }

    /// Two strings. The second of ISDN is optional, and tshark does not tell an empty one from none.
    fn numbered(&mut self, kind: u16) {
        self.string(30);
        if kind == 20 {
            self.bytes.push(3);
            self.text(1);
            self.random(2);
        } else {
            self.string(30);
        }
    }

    fn key(&mut self) {
        self.random(2);
        self.bytes.extend_from_slice(&[3, 13]);
        self.random(64);
    }

    fn signature(&mut self) {
        let covered = self.dice.pick(&[1_u16, 2, 6, 15, 16, 28, 48]);
        self.u16(covered);
        self.random(2 + 4);
        // Seconds of this half of the era: readers differ on the other.
        for _ in 0..2 {
            let time = self.dice.u32() >> 1;
            self.u32(time);
        }
        self.random(2);
        self.name(false);
        self.random(64);
    }

    fn location(&mut self) {
        self.bytes.push(0);
        for _ in 0..3 {
            let (mantissa, power) = (self.dice.below(10), self.dice.below(10));
            self.bytes.push(u8::try_from(mantissa << 4 | power).unwrap());
        }
        // Degrees within the globe, in thousandths of a second of arc.
        for limit in [324_000_000, 648_000_000] {
            let angle = (1_u32 << 31) - limit + self.dice.u32() % (2 * limit);
            self.u32(angle);
        }
        let altitude = self.dice.u32() % 20_000_000;
        self.u32(altitude);
    }

    fn prefixes(&mut self) {
        for _ in 0..=self.dice.below(3) {
            let (family, size) = self.dice.pick(&[(1_u16, 4), (2, 16)]);
            self.u16(family);
            let length = 1 + self.dice.below(size);
            self.bytes.push(u8::try_from(8 * length).unwrap());
            let negation = self.dice.pick(&[0, 0x80]);
            self.bytes.push(u8::try_from(length).unwrap() | negation);
            self.random(length);
        }
    }

    fn bitmap(&mut self) {
        for window in [0, 1] {
            let length = 1 + self.dice.below(8);
            // The types of a record that exists: A, NS, SOA, MX, TXT, AAAA, RRSIG, NSEC; URI and CAA in window 1.
            let mut map = vec![0_u8; length.max(6)];
            let kinds: &[usize] = if window == 0 { &[1, 2, 6, 15, 16, 28, 46, 47] } else { &[0, 1] };
            map.truncate(if window == 0 { 6 } else { 1 });
            for kind in kinds {
                if self.dice.chance(60) {
                    map[kind / 8] |= 0x80 >> (kind % 8);
                }
            }
            map[0] |= 0x40;
            self.bytes.extend_from_slice(&[window, u8::try_from(map.len()).unwrap()]);
            self.bytes.extend_from_slice(&map);
        }
    }

    fn service(&mut self) {
        let priority = self.dice.pick(&[0_u16, 1, 2, 16]);
        self.u16(priority);
        self.name(false);
        for key in [1_u16, 2, 3, 4, 5, 6, 667] {
            if priority == 0 || self.dice.chance(50) {
                continue;
            }
            self.u16(key);
            let length = self.open();
            match key {
                1 => {
                    for protocol in [&b"h2"[..], b"h3"] {
                        self.bytes.push(2);
                        self.bytes.extend_from_slice(protocol);
                    }
                }
                2 => {}
                3 => self.random(2),
                4 => self.random(4 * 2),
                5 => self.random(9),
                6 => self.random(16 * 2),
                _ => self.text(12),
            }
            self.close(length);
        }
    }

    fn authorization(&mut self) {
        let flags = self.dice.pick(&[0, 128]);
        let tag = self.dice.pick(&["issue", "issuewild", "iodef", "other"]);
        self.bytes.extend_from_slice(&[flags, u8::try_from(tag.len()).unwrap()]);
        self.bytes.extend_from_slice(tag.as_bytes());
        self.text(20);
    }

    /// A random name below one of the message's zones; compressed where it may be, most of the time.
    fn name(&mut self, may_compress: bool) {
        let mut labels = self.zones[self.dice.below(3)].clone();
        for _ in 0..self.dice.below(4) {
            let label = label(self.dice);
            labels.insert(0, label);
        }
        if self.dice.chance(2) {
            labels.clear();
        }
        let compress = may_compress && self.dice.chance(80);
        while !labels.is_empty() {
            let at = self.bytes.len();
            if let Some(target) = self.suffixes.get(&labels).filter(|_| compress) {
                return self.u16(0xC000 | target);
            }
            if at < 0x4000 {
                self.suffixes.entry(labels.clone()).or_insert(u16::try_from(at).unwrap());
            }
            let label = labels.remove(0);
            self.bytes.push(u8::try_from(label.len()).unwrap());
            self.bytes.extend_from_slice(&label);
        }
        self.bytes.push(0);
    }

    fn strings(&mut self, count: usize) {
        (0..count).for_each(|_| self.string(30));
    }

    /// A character-string: mostly text, sometimes any bytes, sometimes nothing.
    fn string(&mut self, most: usize) {
        let length = self.dice.below(most + 1);
        let bytes = if self.dice.chance(20) { self.dice.bytes(length) } else { text(self.dice, length) };
        self.bytes.push(u8::try_from(length).unwrap());
        self.bytes.extend_from_slice(&bytes);
    }

    fn text(&mut self, most: usize) {
        let length = 1 + self.dice.below(most);
        let bytes = text(self.dice, length);
        self.bytes.extend_from_slice(&bytes);
    }

    fn random(&mut self, length: usize) {
        let bytes = self.dice.bytes(length);
        self.bytes.extend_from_slice(&bytes);
    }

    fn random_to(&mut self, most: usize) {
        let length = 1 + self.dice.below(most);
        self.random(length);
    }

    fn u16(&mut self, value: u16) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    /// Leaves room for a length of two bytes, to be filled in when what it counts is written.
    fn open(&mut self) -> usize {
        self.u16(0);
        self.bytes.len()
    }

    fn close(&mut self, from: usize) {
        let length = u16::try_from(self.bytes.len() - from).unwrap();
        self.bytes[from - 2..from].copy_from_slice(&length.to_be_bytes());
    }
}

fn text(dice: &mut Dice, length: usize) -> Vec<u8> {
    (0..length).map(|_| b' ' + u8::try_from(dice.below(95)).unwrap()).collect()
}
