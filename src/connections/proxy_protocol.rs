//! Version 2 of the PROXY protocol of `HAProxy`: a header before a connection's first byte that tells its client.
//! <https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hyper::body::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt};

/// No request of HTTP begins with it.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// The signature, then version and command, address family and transport, and the length of what follows.
const FIXED: usize = 16;

/// The beginning of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// A header. `None` if it tells no address, as health checks of proxies do.
    Header(Option<IpAddr>),
    /// What was read is the beginning of a request.
    Request(Bytes),
}

/// Reads a header if there is one, and not a byte more.
///
/// # Errors
/// If the connection fails or a header is malformed: what follows it could not be found.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Beginning> {
    let mut fixed = [0; FIXED];
    let mut length = 0;
    while length < FIXED {
        let read = stream.read(&mut fixed[length..]).await?;
        length += read;
        let compared = length.min(SIGNATURE.len());
        if read == 0 || fixed[..compared] != SIGNATURE[..compared] {
            let read = Bytes::copy_from_slice(&fixed[..length]);
            return Ok(Beginning::Request(read));
        }
    }
    let command = Command::of(fixed[12])?;
    let family = fixed[13] >> 4;
    let mut rest = u64::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    let mut address = Vec::new();
    let addresses = match family {
        1 => 12,
        2 => 36,
        _ => 0,
    };
    if rest < addresses {
        return Err(malformed("its addresses are cut short"));
    }
    rest -= stream.take(addresses).read_to_end(&mut address).await? as u64;
    let skipped = tokio::io::copy(&mut stream.take(rest), &mut tokio::io::sink()).await?;
    if skipped < rest {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Beginning::Header(match command {
        Command::Local => None,
        Command::Proxy => source(&address),
    }))
}

enum Command {
    /// The proxy's own connection.
    Local,
    Proxy,
}

impl Command {
    fn of(byte: u8) -> io::Result<Self> {
        match byte {
            0x20 => Ok(Self::Local),
            0x21 => Ok(Self::Proxy),
            _ => Err(malformed("its version or command is unknown")),
        }
    }
}

/// The source address, which is the first of the addresses.
fn source(addresses: &[u8]) -> Option<IpAddr> {
    match addresses.len() {
        12 => {
            let (octets, _) = addresses.split_first_chunk::<4>()?;
            Some(Ipv4Addr::from_octets(*octets).into())
        }
        36 => {
            let (octets, _) = addresses.split_first_chunk::<16>()?;
            Some(Ipv6Addr::from_octets(*octets).into())
        }
        _ => None,
    }
}

fn malformed(reason: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the header of the PROXY protocol can't be read: {reason}"),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE, &[command, family][..], &length, rest].concat()
    }

    fn block_on<F: Future>(future: F) -> F::Output {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(future)
    }

    /// Reads the beginning, and returns it with what is left.
    fn begin(mut bytes: &[u8]) -> io::Result<(Beginning, &[u8])> {
        let beginning = block_on(read(&mut bytes))?;
        Ok((beginning, bytes))
    }

    #[test]
    fn the_source_address_is_read_and_nothing_behind_the_header() {
        let v4 = [&[192, 0, 2, 1, 10, 0, 0, 1][..], &[1, 2, 3, 4], b"tlv"].concat();
        let mut v6 = [0; 36];
        v6[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb9]);
        for (header, expected) in [
            (header(0x21, 0x11, &v4), Some("192.0.2.1")),
            (header(0x21, 0x21, &v6), Some("2001:db9::")),
            (header(0x20, 0x11, &v4), None),
            (header(0x20, 0x00, b""), None),
            (header(0x21, 0x31, &[0; 216]), None),
        ] {
            let bytes = [&header[..], b"GET /"].concat();
            let address = expected.map(|address| address.parse().unwrap());
            let found = begin(&bytes).unwrap();
            assert_eq!(found, (Beginning::Header(address), &b"GET /"[..]));
        }
    }

    #[test]
    fn a_header_that_is_wrong_or_ends_early_is_an_error() {
        let whole = header(0x21, 0x11, &[7; 12]);
        assert!(begin(&header(0x11, 0x11, &[7; 12])).is_err());
        assert!(begin(&header(0x22, 0x11, &[7; 12])).is_err());
        assert!(begin(&header(0x21, 0x11, &[7; 11])).is_err());
        for length in FIXED..whole.len() {
            assert!(begin(&whole[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn without_a_header_the_request_is_whole() {
        for request in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\r\n\r\nGET", b"PRI", b""] {
            let (beginning, rest) = begin(request).unwrap();
            let Beginning::Request(read) = beginning else {
                panic!("{beginning:?}");
            };
            assert_eq!([&read[..], rest].concat(), request);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_header_a_request_or_an_error(
            signed: bool, bytes in prop::collection::vec(any::<u8>(), 0..300)
        ) {
            let bytes = if signed { [&SIGNATURE, &bytes[..]].concat() } else { bytes };
            if let Ok((Beginning::Request(read), rest)) = begin(&bytes) {
                prop_assert_eq!([&read[..], rest].concat(), bytes);
            }
        }
    }
}
