//! The zone's names: `$ORIGIN`, the apex, and what a record's owner triggers on.
//!
//! A trigger is the owner name without the zone's own name. Many lists never say what the zone is called: then
//! relative owners are triggers as they stand, and absolute ones cannot be told from triggers outside the zone.

use super::super::reason::Reason;

/// Where in the zone the parser is. Names are absolute, without the trailing dot; the root is the empty name.
#[derive(Default)]
pub(super) struct Zone {
    /// `$ORIGIN`, once one was given.
    origin: Option<String>,
    /// The zone's name: the SOA's owner, else the first origin.
    apex: Option<String>,
    /// The last owner as written.
    owner: String,
    /// The last owner made absolute.
    absolute: String,
}

impl Zone {
    /// `$ORIGIN name` and `$TTL n`; the others change what the lines mean and are not followed.
    pub(super) fn directive(&mut self, text: &str) -> Result<(), Reason> {
        let mut words = text.split_ascii_whitespace();
        let (name, value) = (words.next().unwrap_or_default(), words.next());
        match value {
            Some(_) if name.eq_ignore_ascii_case("$TTL") => Ok(()),
            Some(origin) if name.eq_ignore_ascii_case("$ORIGIN") => {
                let origin = absolute(origin, self.origin.as_deref()).to_ascii_lowercase();
                self.apex.get_or_insert_with(|| origin.clone());
                self.origin = Some(origin);
                Ok(())
            }
            _ => Err(Reason::RpzDirective),
        }
    }

    /// The owner of this record and, until the next one, of those that leave it out.
    pub(super) fn set_owner(&mut self, owner: &str, kind: &str) {
        self.owner.clear();
        self.owner.push_str(owner);
        if kind.eq_ignore_ascii_case("SOA") && (owner != "@" || self.origin.is_some()) {
            self.apex = Some(absolute(owner, self.origin.as_deref()).to_ascii_lowercase());
        }
    }

    /// Whether the last owner is the zone itself.
    pub(super) fn is_apex(&self) -> bool {
        if self.owner == "@" {
            return self.is_at_apex();
        }
        match (&self.apex, self.owner.strip_suffix('.')) {
            (Some(apex), Some(name)) => name.eq_ignore_ascii_case(apex),
            _ => false,
        }
    }

    /// Whether relative names are relative to the zone: so it is until an origin says otherwise.
    fn is_at_apex(&self) -> bool {
        self.origin.is_none() || self.origin == self.apex
    }

    /// What the last owner triggers on, `*.` included.
    pub(super) fn trigger(&mut self) -> Result<&str, Reason> {
        if self.owner.is_empty() {
            return Err(Reason::RpzRecord);
        }
        if self.is_at_apex() && self.owner != "@" && !self.owner.ends_with('.') {
            return Ok(&self.owner);
        }
        let Some(apex) = &self.apex else { return Err(Reason::RpzZone) };
        self.absolute = absolute(&self.owner, self.origin.as_deref());
        below(&self.absolute, apex).ok_or(Reason::RpzZone)
    }
}

/// A name of the file made absolute.
fn absolute(name: &str, origin: Option<&str>) -> String {
    let origin = origin.unwrap_or_default();
    match name.strip_suffix('.') {
        Some(name) => name.to_owned(),
        None if name == "@" => origin.to_owned(),
        None if origin.is_empty() => name.to_owned(),
        None => format!("{name}.{origin}"),
    }
}

/// What stands before the apex in a name of its zone.
fn below<'n>(name: &'n str, apex: &str) -> Option<&'n str> {
    if apex.is_empty() {
        return Some(name);
    }
    let at = name.len().checked_sub(apex.len())?;
    let (front, back) = (name.get(..at)?, name.get(at..)?);
    if back.eq_ignore_ascii_case(apex) { front.strip_suffix('.') } else { None }
}
