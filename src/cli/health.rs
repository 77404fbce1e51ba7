//! `electra health`: checks whether a running server is ready, for container health checks.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::error::CliError;
use crate::tls::{self, TlsClientFiles};

/// Time limit of connecting, and of each read.
const PATIENCE: Duration = Duration::from_secs(3);
/// The most bytes read from a response.
const LONGEST_ANSWER: u64 = 64 << 10;

#[derive(Debug, Default, Args)]
pub struct HealthArguments {
    /// The server's address, HOST:PORT; by default that of `ELECTRA_HTTP`, else 127.0.0.1:8080
    #[arg(long, value_name = "ADDRESS")]
    http: Option<String>,
    /// Ask over HTTPS
    #[arg(long, requires = "ca")]
    tls: bool,
    /// Authorities in PEM, one of which has signed the server's certificate
    #[arg(long, value_name = "FILE", requires = "tls")]
    ca: Option<PathBuf>,
    /// The name that the server's certificate must have, if it is not that of the address
    #[arg(long, value_name = "NAME", requires = "tls")]
    server_name: Option<String>,
    /// The certificate to show to a server that asks for one, in PEM
    #[arg(long, value_name = "FILE", requires_all = ["tls", "key"])]
    cert: Option<PathBuf>,
    /// The key of that certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
}

impl HealthArguments {
    /// `None` for plain HTTP.
    fn tls(&self) -> Option<TlsClientFiles> {
        Some(TlsClientFiles {
            ca: self.ca.clone().filter(|_| self.tls)?,
            identity: self.cert.clone().zip(self.key.clone()),
        })
    }
}

/// Requests GET /health/ready.
///
/// # Errors
/// Why the server is not ready, in its own words if it answers.
pub fn run(arguments: &HealthArguments) -> Result<(), CliError> {
    let from_environment = || {
        std::env::var("ELECTRA_HTTP")
            .ok()
            .filter(|address| !address.is_empty())
    };
    let given = arguments.http.clone().or_else(from_environment);
    let address = reachable(given.as_deref().unwrap_or("127.0.0.1:8080"));
    let answer = ask(&address, arguments)
        .map_err(|error| CliError::Failed(format!("No answer from {address}: {error}")))?;
    if is_ok(&answer) {
        return Ok(());
    }
    let body = answer
        .split_once("\r\n\r\n")
        .map_or(answer.as_str(), |(_, body)| body);
    Err(CliError::Failed(format!("Not ready: {}", body.trim())))
}

/// Replaces a wildcard address, on which servers listen, by this machine's loopback address.
fn reachable(address: &str) -> String {
    for (every, own) in [
        ("0.0.0.0:", "127.0.0.1:"),
        ("[::]:", "[::1]:"),
        (":", "127.0.0.1:"),
    ] {
        if let Some(port) = address.strip_prefix(every) {
            return format!("{own}{port}");
        }
    }
    address.to_owned()
}

fn ask(address: &str, arguments: &HealthArguments) -> std::io::Result<String> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let server = arguments.server_name.as_deref().unwrap_or(host);
    let mut last = std::io::Error::other("the address can't be resolved");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                let Some(files) = arguments.tls() else {
                    return ask_on(stream, &address.to_string());
                };
                let stream = tls::connect(&files, server, stream);
                return ask_on(stream.map_err(std::io::Error::other)?, &address.to_string());
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn ask_on(mut stream: impl Read + Write, host: &str) -> std::io::Result<String> {
    // Sent in one write: some servers read only the first segment.
    let request =
        format!("GET /health/ready HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(LONGEST_ANSWER).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn is_ok(answer: &str) -> bool {
    answer
        .lines()
        .next()
        .is_some_and(|line| line.split(' ').nth(1) == Some("200"))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn ask_server_that_says(answer: &'static str) -> Result<(), CliError> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let http = Some(listener.local_addr().unwrap().to_string());
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 512];
            let length = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        let outcome = run(&HealthArguments {
            http,
            ..HealthArguments::default()
        });
        assert!(
            server
                .join()
                .unwrap()
                .starts_with("GET /health/ready HTTP/1.1\r\n")
        );
        outcome
    }

    #[test]
    fn a_server_is_healthy_if_it_says_so() {
        assert!(ask_server_that_says("HTTP/1.1 200 OK\r\n\r\n{}").is_ok());
        let error = ask_server_that_says(
            "HTTP/1.1 503 Service Unavailable\r\n\r\n{\"error\": \"loading\"}",
        )
        .unwrap_err();
        assert!(error.to_string().contains("loading"), "{error}");
    }

    #[test]
    fn every_address_is_asked_on_this_machine() {
        for (address, expected) in [
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:80", "[::1]:80"),
            (":9000", "127.0.0.1:9000"),
            ("example.org:80", "example.org:80"),
        ] {
            assert_eq!(reachable(address), expected);
        }
    }
}
