//! Two facts about an X.509 certificate that rustls does not tell: the hash for channel binding and
//! the public key of a certificate that it refuses to parse (version 1).

use sha2::{Digest, Sha256, Sha384, Sha512};

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;
const EXPLICIT_VERSION: u8 = 0xa0;

type Hash = fn(&[u8]) -> Vec<u8>;

/// The hash of each signature algorithm; RFC 5929 section 4.1 replaces MD5 and SHA-1 by SHA-256.
/// RSASSA-PSS and Ed25519 name no single hash and have no binding here, as in libpq before 16.
const SIGNATURES: &[(&[u8], Hash)] = &[
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x04], sha256), // md5WithRSAEncryption
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05], sha256), // sha1WithRSAEncryption
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b], sha256), // sha256WithRSAEncryption
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0c], sha384), // sha384WithRSAEncryption
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d], sha512), // sha512WithRSAEncryption
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01], sha256),             // ecdsa-with-SHA1
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02], sha256),       // ecdsa-with-SHA256
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03], sha384),       // ecdsa-with-SHA384
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04], sha512),       // ecdsa-with-SHA512
];

/// The `tls-server-end-point` binding of a certificate (RFC 5929): its hash by the hash function of
/// its own signature. `None` if that function is not defined.
pub(super) fn end_point_hash(der: &[u8]) -> Option<Vec<u8>> {
    let mut certificate = Der(Der(der).expect(SEQUENCE)?.content);
    certificate.expect(SEQUENCE)?; // what is signed
    let algorithm = certificate.expect(SEQUENCE)?;
    let oid = Der(algorithm.content).expect(OBJECT_IDENTIFIER)?.content;
    SIGNATURES.iter().find(|(signature, _)| *signature == oid).map(|(_, hash)| hash(der))
}

/// The SubjectPublicKeyInfo of a certificate of any version (RFC 5280 section 4.1), as DER.
pub(super) fn public_key_info(der: &[u8]) -> Option<&[u8]> {
    let mut certificate = Der(Der(der).expect(SEQUENCE)?.content);
    let mut signed = Der(certificate.expect(SEQUENCE)?.content);
    let first = signed.element()?;
    if first.tag == EXPLICIT_VERSION {
        signed.element()?; // the serial number, which comes first in version 1
    }
    for _signature_issuer_validity_subject in 0..4 {
        signed.expect(SEQUENCE)?;
    }
    Some(signed.expect(SEQUENCE)?.whole)
}

/// A cursor over DER elements.
struct Der<'a>(&'a [u8]);

struct Element<'a> {
    tag: u8,
    content: &'a [u8],
    whole: &'a [u8],
}

impl<'a> Der<'a> {
    fn element(&mut self) -> Option<Element<'a>> {
        let (&tag, rest) = self.0.split_first()?;
        let (&short, rest) = rest.split_first()?;
        let (length, rest) = match short {
            0..=0x7f => (usize::from(short), rest),
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(short & 0x7f))?;
                (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        let whole = self.0.get(..self.0.len() - rest.len())?;
        self.0 = rest;
        Some(Element { tag, content, whole })
    }

    fn expect(&mut self, tag: u8) -> Option<Element<'a>> {
        self.element().filter(|element| element.tag == tag)
    }
}

fn sha256(data: &[u8]) -> Vec<u8> {
    Sha256::digest(data).to_vec()
}

fn sha384(data: &[u8]) -> Vec<u8> {
    Sha384::digest(data).to_vec()
}

fn sha512(data: &[u8]) -> Vec<u8> {
    Sha512::digest(data).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_in_outline() {
        let signed = [
            &[0xa0, 3, 2, 1, 2][..], // version
            &[2, 1, 9],              // serial number
            &[0x30, 0, 0x30, 0, 0x30, 0, 0x30, 0],
            &[0x30, 2, 5, 0], // public key
        ]
        .concat();
        let algorithm = [&[0x06, 9][..], SIGNATURES[4].0].concat();
        let inner =
            [&[0x30, 0x81, signed.len() as u8][..], &signed, &[0x30, algorithm.len() as u8], &algorithm, &[3, 0]]
                .concat();
        let der = [&[0x30, inner.len() as u8][..], &inner].concat();
        assert_eq!(public_key_info(&der), Some(&[0x30, 2, 5, 0][..]));
        assert_eq!(end_point_hash(&der), Some(sha512(&der)));
    }

    #[test]
    fn broken_certificates_yield_nothing() {
        for der in [&[][..], &[0x30], &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], &[0x30, 0x80], &[0x30, 2, 0x30, 9]] {
            assert_eq!((end_point_hash(der), public_key_info(der)), (None, None), "{der:?}");
        }
    }
}
