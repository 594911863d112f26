//! Cursors: where the next page starts, opaque to clients and good only for the list and the caller that got it.
//!
//! A cursor carries a digest over the list, the caller and the place. That keeps it from being edited or carried
//! over by mistake; it is no secret, and needs none: whatever the cursor says, a list shows a caller only what that
//! caller may see.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{Error, UserId};
use sha2::{Digest, Sha256};

/// Bytes of the digest that a cursor starts with.
const DIGEST: usize = 12;

/// Writes the place `after` of `list`, for `caller`.
pub(crate) fn write(list: &str, caller: &UserId, after: &str) -> String {
    let mut bytes = digest(list, caller, after);
    bytes.extend_from_slice(after.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads a cursor that [`write`] wrote for this list and caller.
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
    fn a_cursor_leads_back_to_its_place_in_its_list_for_its_caller_only() {
        let cursor = write("inventory", &user("ada"), "TEA-1");
        assert_eq!(read("inventory", &user("ada"), &cursor).unwrap(), "TEA-1");
        assert!(read("orders", &user("ada"), &cursor).is_err());
        assert!(read("inventory", &user("bob"), &cursor).is_err());
    }

    #[test]
    fn a_damaged_cursor_is_refused_wherever_the_damage_is() {
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
