//! Bodies in AWS's chunks (`content-encoding: aws-chunked`): sizes in hexadecimal, data, and trailers after the last.

use bytes::Bytes;

/// Returns the data of a body in chunks; none when it is no such body or is not whole. Trailers are not looked at: the
/// transport keeps the bytes as they were sent.
#[must_use]
pub fn decode(body: &[u8]) -> Option<Bytes> {
    let mut data = Vec::with_capacity(body.len());
    let mut rest = body;
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n")?;
        let (line, after) = (&rest[..end], &rest[end + 2..]);
        let size = line.split(|byte| *byte == b';').next()?;
        // Sixteen digits are more than any body has, and still fit.
        let size =
            std::str::from_utf8(size).ok().filter(|size| (1..=15).contains(&size.len()) && !size.starts_with('+'))?;
        let size = usize::from_str_radix(size, 16).ok()?;
        if size == 0 {
            return Some(data.into());
        }
        data.extend_from_slice(after.get(..size)?);
        rest = after.get(size..)?.strip_prefix(b"\r\n")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_in_chunks_is_put_together_and_a_torn_one_is_refused() {
        let whole = b"4\r\nWiki\r\n6;chunk-signature=x\r\npedia!\r\n0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n";
        assert_eq!(decode(whole).as_deref(), Some(&b"Wikipedia!"[..]));
        assert_eq!(decode(b"0\r\n\r\n").as_deref(), Some(&b""[..]));
        for torn in [
            &b""[..],
            b"4\r\nWik",
            b"4\r\nWikipedia",
            b"zz\r\n",
            b"+1\r\nx\r\n0\r\n",
            b"ffffffffffffffff\r\nx",
            b"-1\r\n",
        ] {
            assert_eq!(decode(torn), None, "{:?}", String::from_utf8_lossy(torn));
        }
    }
}
