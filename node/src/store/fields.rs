//! The alphabet of every record here: big-endian numbers one after the other, and a CRC32C in front of what it guards.

/// Takes fixed fields off the front of a record; `None` as soon as the record is too short.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(head)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// A flag is exactly 0 or 1.
    pub(super) fn flag(&mut self) -> Option<bool> {
        match self.u8()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    /// `Some(())` when nothing is left over.
    pub(super) fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

/// `[crc32c of key and body][body]`: a record that has come to lie under another key is noticed like a flipped bit.
pub(super) fn seal(key: &[u8], body: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(4 + body.len());
    sealed.extend_from_slice(&seal_crc(key, body).to_be_bytes());
    sealed.extend_from_slice(body);
    sealed
}

/// The body of a sealed record; `None` when it is not what was sealed under this key.
pub(super) fn unseal<'a>(key: &[u8], sealed: &'a [u8]) -> Option<&'a [u8]> {
    let mut fields = Fields(sealed);
    let crc = fields.u32()?;
    (crc == seal_crc(key, fields.0)).then_some(fields.0)
}

fn seal_crc(key: &[u8], body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(key), body)
}

#[cfg(test)]
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn one_flipped_bit_is_never_other_data(key: Vec<u8>, body: Vec<u8>, bit: prop::sample::Index) {
            let mut sealed = seal(&key, &body);
            prop_assert_eq!(unseal(&key, &sealed), Some(&body[..]));
            let bit = bit.index(sealed.len() * 8);
            sealed[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(unseal(&key, &sealed), None);
        }

        #[test]
        fn a_record_under_another_key_is_noticed(key in prop::array::uniform8(any::<u8>()), body: Vec<u8>, bit in 0..64_usize) {
            let mut other = key;
            other[bit / 8] ^= 1 << (bit % 8);
            let sealed = seal(&key, &body);
            prop_assert_eq!(unseal(&other, &sealed), None);
        }
    }
}
