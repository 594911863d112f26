//! Cursors: each holds the place where the next page starts. A cursor is opaque to clients, and valid only for the
//! list and the caller that it was given for.
//!
//! A cursor carries a digest over the list, the caller and the place, so that mistaken use is refused. The digest
//! needs no secret: even with a forged cursor, a list shows only rows that the caller may see.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{Error, UserId};
use sha2::{Digest, Sha256};

/// The length of the digest at the start of a cursor, in bytes.
const DIGEST: usize = 12;

/// Makes the cursor for the page of `list` that starts after the place `after`, for `caller`.
pub(crate) fn write(list: &str, caller: &UserId, after: &str) -> String {
    let mut bytes = digest(list, caller, after);
    bytes.extend_from_slice(after.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads the place out of a cursor that [`write`] made for this list and caller. Every other text is a bad cursor.
pub(crate) fn read(list: &str, caller: &UserId, cursor: &str) -> Result<String, Error> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_undecodable| Error::BadCursor)?;
    let (given, after) = bytes.split_at_checked(DIGEST).ok_or(Error::BadCursor)?;
    let after = std::str::from_utf8(after).map_err(|_unreadable| Error::BadCursor)?;
    if digest(list, caller, after) == given { Ok(after.to_owned()) } else { Err(Error::BadCursor) }
}

fn digest(list: &str, caller: &UserId, after: &str) -> Vec<u8> {
    let mut hash = Sha256::new();
    for part in [list, caller.as_str(), after] {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hash.finalize().iter().copied().take(DIGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: &str) -> UserId {
        UserId::try_from(id.to_owned()).unwrap()
    }

    #[test]
    fn a_cursor_is_read_for_its_own_list_and_caller_only() {
        let cursor = write("inventory", &user("ada"), "TEA-1");
        assert_eq!(read("inventory", &user("ada"), &cursor).unwrap(), "TEA-1");
        assert!(read("orders", &user("ada"), &cursor).is_err());
        assert!(read("inventory", &user("bob"), &cursor).is_err());
    }

    #[test]
    fn a_cursor_with_one_changed_character_or_a_missing_end_is_refused() {
        let cursor = write("inventory", &user("ada"), "TEA-1");
        for place in 0..cursor.len() {
            let mut damaged = cursor.clone().into_bytes();
            damaged[place] = if damaged[place] == b'A' { b'B' } else { b'A' };
            let damaged = String::from_utf8(damaged).unwrap();
            assert!(read("inventory", &user("ada"), &damaged).is_err(), "{place}");
            assert!(read("inventory", &user("ada"), &cursor[..place]).is_err(), "cut at {place}");
        }
    }
}
