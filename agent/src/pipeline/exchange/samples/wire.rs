//! Messages byte by byte, names as they are given: what stages get that read for themselves.

/// A and CNAME.
pub(crate) const A: u16 = 1;
pub(crate) const CNAME: u16 = 5;
pub(crate) const OPT: u16 = 41;

/// A name without compression, in the case it is given in.
pub(crate) fn name(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

/// A query for an address.
pub(crate) fn query(id: u16, asked: &str) -> Vec<u8> {
    [&id.to_be_bytes()[..], &[1, 0, 0, 1, 0, 0, 0, 0, 0, 0], &name(asked), &[0, 1, 0, 1]].concat()
}

/// One record of class IN; its owner and data as they stand on the wire.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub owner: Vec<u8>,
    pub kind: u16,
    pub ttl: u32,
    pub data: Vec<u8>,
}

impl Record {
    pub(crate) fn new(owner: &str, kind: u16, data: &[u8]) -> Self {
        Self { owner: name(owner), kind, ttl: 300, data: data.to_owned() }
    }
}

/// What an answer says.
pub(crate) struct Answer {
    pub code: u8,
    pub repeats_question: bool,
    pub answers: Vec<Record>,
    pub additionals: Vec<Record>,
}

impl Answer {
    /// A chain of two records to one address.
    pub(crate) fn of(asked: &str) -> Self {
        let chain = Record::new(asked, CNAME, &name("edge.example.net"));
        let address = Record::new("edge.example.net", A, &[203, 0, 113, 7]);
        Self { code: 0, repeats_question: true, answers: vec![chain, address], additionals: Vec::new() }
    }

    pub(crate) fn bytes(&self, id: u16, asked: &str) -> Vec<u8> {
        let count = |length: usize| u16::try_from(length).unwrap().to_be_bytes();
        let mut bytes = [&id.to_be_bytes()[..], &[0x81, 0x80 | self.code]].concat();
        for length in [usize::from(self.repeats_question), self.answers.len(), 0, self.additionals.len()] {
            bytes.extend(count(length));
        }
        if self.repeats_question {
            bytes.extend([&name(asked)[..], &[0, 1, 0, 1]].concat());
        }
        for record in self.answers.iter().chain(&self.additionals) {
            bytes.extend(&record.owner);
            bytes.extend(record.kind.to_be_bytes());
            bytes.extend([0, 1]);
            bytes.extend(record.ttl.to_be_bytes());
            bytes.extend(count(record.data.len()));
            bytes.extend(&record.data);
        }
        bytes
    }
}
