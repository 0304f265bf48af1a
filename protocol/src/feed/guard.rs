//! Entries that are public suffixes: `co.uk` or `github.io` in a list must not alert on every name below.
//!
//! Such an entry is kept for its own name only. Where the list's syntax itself says "and all below" (`||x^`, `*.x`,
//! `local=/x/`), that holds for suffixes of the private section (`duckdns.org`: lists of dynamic DNS mean it), never
//! for those of ICANN's (`com`). Exceptions and allow lists are not guarded: they take alerts away.

use psl::Type;

use super::intake::Reach;
use crate::entry::Scope;

/// The scope that an entry may have.
pub(super) fn scope(name: &str, scope: Scope, reach: Reach) -> Scope {
    if !scope.covers_below() {
        return scope;
    }
    match public_suffix(name) {
        None => scope,
        Some(Type::Private) if reach == Reach::Written => scope,
        Some(_) => Scope::Exact,
    }
}

/// The section of the public suffix list that has this very name; wildcard rules count (`*.ck`).
fn public_suffix(name: &str) -> Option<Type> {
    let suffix = psl::suffix(name.as_bytes())?;
    if suffix.as_bytes().len() == name.len() { suffix.typ() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suffix_of_icanns_section_is_kept_as_exact_whatever_the_list_says() {
        for reach in [Reach::Assumed, Reach::Written] {
            assert_eq!(scope("co.uk", Scope::Both, reach), Scope::Exact);
            assert_eq!(scope("com", Scope::Subdomains, reach), Scope::Exact);
            assert_eq!(scope("xn--p1ai", Scope::Both, reach), Scope::Exact);
        }
    }

    #[test]
    fn a_suffix_of_the_private_section_is_kept_where_the_list_wrote_it_so() {
        assert_eq!(scope("duckdns.org", Scope::Both, Reach::Assumed), Scope::Exact);
        assert_eq!(scope("duckdns.org", Scope::Both, Reach::Written), Scope::Both);
        assert_eq!(scope("github.io", Scope::Subdomains, Reach::Written), Scope::Subdomains);
    }

    #[test]
    fn names_below_a_suffix_are_not_touched() {
        assert_eq!(scope("evil.co.uk", Scope::Both, Reach::Assumed), Scope::Both);
        assert_eq!(scope("evil.duckdns.org", Scope::Subdomains, Reach::Assumed), Scope::Subdomains);
        assert_eq!(scope("evil.nosuchtld", Scope::Both, Reach::Assumed), Scope::Both);
    }

    #[test]
    fn exact_entries_need_no_guard() {
        assert_eq!(scope("co.uk", Scope::Exact, Reach::Assumed), Scope::Exact);
    }
}
