//! Reads a claim that holds groups. This is the only place that knows how; `docs/sign_in.md` states the rule for operators.
//!
//! The authorizer hands every claim over as one text. It writes a list in the format in which Go prints one: brackets
//! around the entries, and one blank between two (`[admin staff]`). Nothing is quoted. So the rule is:
//!
//! 1. A text from `[` to `]` is a list. Its entries are the pieces between its blanks.
//! 2. Every other text is one group, with all its blanks and commas.
//! 3. Nothing else separates groups, and nothing is taken off them. In particular a comma or a quote belongs to its
//!    group: both may be in the name of a Cognito group (source: Cognito API reference, `CreateGroup`, the pattern of
//!    `GroupName`, which allows no blanks).
//!
//! A group with a blank in a list cannot be told from two groups. Its pieces count, so an issuer with such groups must
//! give a claim that is one text.

/// The groups in a claim.
pub(crate) fn groups(claim: &str) -> impl Iterator<Item = &str> {
    let (list, one) = match claim.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(list) => (Some(list.split(' ')), None),
        None => (None, Some(claim)),
    };
    // The list without entries is written `[]`, and no group has an empty name.
    list.into_iter().flatten().chain(one).filter(|group| !group.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// A list as the authorizer writes it.
    fn written(list: &[String]) -> String {
        format!("[{}]", list.join(" "))
    }

    fn read(claim: &str) -> Vec<&str> {
        groups(claim).collect()
    }

    #[test]
    fn a_claim_is_a_list_in_brackets_or_one_group() {
        for (claim, groups) in [
            ("[admin staff]", &["admin", "staff"][..]),
            ("[admin]", &["admin"]),
            ("[]", &[]),
            ("", &[]),
            ("admin", &["admin"]),
            ("shop admin", &["shop admin"]),
            ("staff,admin", &["staff,admin"]),
            // What other formats use belongs to the group.
            ("[staff,admin]", &["staff,admin"]),
            ("[staff, admin]", &["staff,", "admin"]),
            ("[\"admin\"]", &["\"admin\""]),
            ("[\"staff\",\"admin\"]", &["\"staff\",\"admin\""]),
            ("[[admin]]", &["[admin]"]),
            ("[admin] staff]", &["admin]", "staff"]),
            ("[admin", &["[admin"]),
            ("admin]", &["admin]"]),
            (" [admin]", &[" [admin]"]),
            ("[admin\tstaff]", &["admin\tstaff"]),
            ("[admin\u{a0}staff]", &["admin\u{a0}staff"]),
            ("[", &["["]),
            ("]", &["]"]),
            // A group with a blank cannot be told from two.
            ("[shop admin]", &["shop", "admin"]),
            ("[ admin ]", &["admin"]),
        ] {
            assert_eq!(read(claim), groups, "{claim}");
        }
    }

    proptest! {
        /// Groups of Cognito: whatever their names hold beside blanks, a caller has exactly the groups of the token.
        #[test]
        fn groups_without_blanks_are_read_as_they_are_in_the_token(list in vec(r"[\p{L}\p{M}\p{S}\p{N}\p{P}]{1,12}", 0..6)) {
            let claim = written(&list);
            prop_assert_eq!(read(&claim), list.iter().map(String::as_str).collect::<Vec<_>>());
        }

        /// The same with the signs that other formats use, which random names seldom hold.
        #[test]
        fn no_sign_of_another_format_makes_or_hides_a_group(list in vec(r#"(admin|[\[\]{},;:"'\\a]){1,4}"#, 0..4)) {
            let claim = written(&list);
            let is_admin = list.iter().any(|group| group == "admin");
            prop_assert_eq!(groups(&claim).any(|group| group == "admin"), is_admin, "{}", claim);
        }

        /// A claim that is no list is one group, unless it looks like a list.
        #[test]
        fn one_text_is_one_group(text in r#"[ \[\],"a-d]{1,12}"#) {
            prop_assume!(!(text.len() > 1 && text.starts_with('[') && text.ends_with(']')));
            prop_assert_eq!(read(&text), [text.as_str()]);
        }

        /// Any groups at all: a group is found only if it is one of the token's, or a piece between the blanks of one.
        #[test]
        fn a_group_is_never_made_of_two(list in vec(r#"[ \[\],"ab]{1,6}"#, 0..4)) {
            let claim = written(&list);
            for group in groups(&claim) {
                prop_assert!(list.iter().any(|given| given.split(' ').any(|piece| piece == group)), "{} in {}", group, claim);
            }
        }
    }
}
