//! The table of who may do what.

use std::net::IpAddr;

use super::*;
use crate::access::{Digest, Limited, Scope};
use crate::client::Client;

const FAR: Origin = Origin {
    door: Door::Public,
    sender: Sender {
        client: Client::Local,
        is_local: false,
    },
};
const NEAR: Origin = Origin {
    sender: Sender {
        client: Client::Local,
        is_local: true,
    },
    ..FAR
};
const ADMIN: Origin = Origin {
    door: Door::Admin,
    ..FAR
};

fn guard(options: AccessOptions, file: &str) -> Guard {
    let file = options.key_file.is_some().then_some(file.as_bytes());
    Guard::new(options, file, Metrics::new("test")).unwrap()
}

/// A file with a key for each scope, called as the scope.
fn file() -> String {
    let line = |scope: Scope| {
        let name = scope.name();
        format!("{name} {name} {}\n", Digest::of(name.as_bytes()))
    };
    Scope::ALL.map(line).concat()
}

fn with_keys(is_administration_apart: bool, model_control: bool) -> Guard {
    let options = AccessOptions {
        key_file: Some("keys".into()),
        model_control,
        is_administration_apart,
        ..AccessOptions::default()
    };
    guard(options, &file())
}

fn refusal(guard: &Guard, need: Need, origin: Origin, key: Option<&str>) -> Option<Refusal> {
    let credentials = key.map_or(Credentials::None, |key| Credentials::Key(key.as_bytes()));
    guard.admit(need, origin, credentials).err()
}

#[test]
fn without_keys_all_is_open_but_loading_and_unloading() {
    for apart in [false, true] {
        for control in [false, true] {
            let options = AccessOptions {
                model_control: control,
                is_administration_apart: apart,
                ..AccessOptions::default()
            };
            let guard = guard(options, "");
            for origin in [FAR, NEAR, ADMIN] {
                for need in [Need::Nothing, Need::Infer, Need::Metrics] {
                    // Whatever is sent as a key, as clients do that always send one.
                    assert_eq!(refusal(&guard, need, origin, Some("any")), None);
                    assert_eq!(refusal(&guard, need, origin, None), None);
                }
            }
            let of_far = if control {
                Refusal::NotLocal
            } else {
                Refusal::ControlOff
            };
            let of_near = (!control).then_some(Refusal::ControlOff);
            assert_eq!(
                refusal(&guard, Need::Control, FAR, Some("any")),
                Some(of_far)
            );
            assert_eq!(refusal(&guard, Need::Control, NEAR, None), of_near);
            assert_eq!(refusal(&guard, Need::Control, ADMIN, None), of_near);
        }
    }
}

#[test]
fn with_keys_each_need_has_its_scopes() {
    use Refusal::Scope as Lacks;
    // The need, and what the keys `infer`, `metrics` and `admin` get.
    let table = |apart: bool| {
        [
            (
                Need::Infer,
                [None, Some(Lacks(Need::Infer)), Some(Lacks(Need::Infer))],
            ),
            (
                Need::Metrics,
                [
                    apart.then_some(Lacks(Need::Metrics)),
                    None,
                    Some(Lacks(Need::Metrics)),
                ],
            ),
            (
                Need::Control,
                [Some(Lacks(Need::Control)), Some(Lacks(Need::Control)), None],
            ),
        ]
    };
    for apart in [false, true] {
        let guard = with_keys(apart, true);
        for origin in [FAR, NEAR, ADMIN] {
            for (need, expected) in table(apart) {
                for (scope, expected) in Scope::ALL.into_iter().zip(expected) {
                    let found = refusal(&guard, need, origin, Some(scope.name()));
                    assert_eq!(found, expected, "{need:?} {scope:?}");
                }
                assert_eq!(refusal(&guard, need, origin, None), Some(Refusal::NoKey));
                for wrong in ["", "infer ", "Infer", "nobody"] {
                    let found = refusal(&guard, need, origin, Some(wrong));
                    assert_eq!(found, Some(Refusal::UnknownKey));
                }
                let found = guard.admit(need, origin, Credentials::NotBearer).err();
                assert_eq!(found, Some(Refusal::NotBearer));
            }
            assert_eq!(refusal(&guard, Need::Nothing, origin, None), None);
        }
    }
    let off = with_keys(false, false);
    // Strangers are not told that it is off.
    assert_eq!(
        refusal(&off, Need::Control, NEAR, None),
        Some(Refusal::NoKey)
    );
    assert_eq!(
        refusal(&off, Need::Control, NEAR, Some("admin")),
        Some(Refusal::ControlOff)
    );
}

#[test]
fn a_key_of_the_environment_may_do_everything_and_an_empty_file_lets_nobody_in() {
    let options = AccessOptions {
        environment_key: Some(Digest::of(b"secret")),
        model_control: true,
        ..AccessOptions::default()
    };
    let guard_of_environment = guard(options, "");
    for need in [Need::Infer, Need::Metrics, Need::Control] {
        assert_eq!(
            refusal(&guard_of_environment, need, FAR, Some("secret")),
            None
        );
        assert_eq!(
            refusal(&guard_of_environment, need, NEAR, None),
            Some(Refusal::NoKey)
        );
    }
    let options = AccessOptions {
        key_file: Some("keys".into()),
        ..AccessOptions::default()
    };
    let empty = guard(options, "# none yet\n");
    assert_eq!(
        refusal(&empty, Need::Infer, NEAR, Some("a")),
        Some(Refusal::UnknownKey)
    );
}

#[test]
fn a_client_is_its_key_else_its_address() {
    let address = Client::from(IpAddr::from([192, 0, 2, 1]));
    let origin = Origin {
        sender: Sender {
            client: address,
            is_local: false,
        },
        ..FAR
    };
    let guard = with_keys(false, true);
    let requester = |key: &str| {
        let admitted = guard.admit(Need::Infer, origin, Credentials::Key(key.as_bytes()));
        admitted.unwrap().0
    };
    let (one, again) = (requester("infer"), requester("infer"));
    assert_eq!(one.client(), again.client());
    assert_ne!(one.client(), address);
    assert_eq!(one.key_name(), Some("infer"));
    assert!(!one.is_admin());
    let (admin, _permit) = guard
        .admit(Need::Control, origin, Credentials::Key(b"admin"))
        .unwrap();
    assert!(admin.is_admin());
    let (open, _) = guard
        .admit(Need::Nothing, origin, Credentials::None)
        .unwrap();
    assert_eq!((open.client(), open.is_admin()), (address, false));
}

#[tokio::test(start_paused = true)]
async fn limits_are_those_of_the_key_and_refusals_are_counted() {
    let options = AccessOptions {
        key_file: Some("keys".into()),
        ..AccessOptions::default()
    };
    let file = format!("shop infer {} requests=2/s\n", Digest::of(b"a"));
    let metrics = Metrics::new("test");
    let guard = Guard::new(options, Some(file.as_bytes()), metrics.clone()).unwrap();
    let ask = || refusal(&guard, Need::Infer, FAR, Some("a"));
    assert_eq!((ask(), ask()), (None, None));
    let Some(Refusal::Limited { limit, retry_after }) = ask() else {
        panic!("it is limited");
    };
    assert_eq!((limit, retry_after.as_millis()), (Limited::Requests, 500));
    // What was used is not forgotten when the file changes.
    guard
        .set_keys(Some(format!("{file}# changed").as_bytes()))
        .unwrap();
    assert!(ask().is_some());
    tokio::time::advance(retry_after).await;
    assert_eq!(ask(), None);
    refusal(&guard, Need::Infer, FAR, None);
    refusal(&guard, Need::Metrics, FAR, Some("b"));
    refusal(&guard, Need::Control, FAR, Some("a"));
    let text = metrics.encode().unwrap();
    for line in [
        r#"electra_requests_admitted_total{key="shop"} 3"#,
        r#"electra_requests_denied_total{key="shop",reason="requests"} 2"#,
        r#"electra_requests_denied_total{key="",reason="no_key"} 1"#,
        r#"electra_requests_denied_total{key="",reason="unknown_key"} 1"#,
        r#"electra_requests_denied_total{key="shop",reason="scope"} 1"#,
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

#[test]
fn keys_are_read_from_bearer_headers() {
    use Credentials::{Key, None as Nothing, NotBearer};
    for (header, expected) in [
        (None, Nothing),
        (Some("Bearer abc"), Key(b"abc")),
        (Some("bearer  abc "), Key(b"abc")),
        (Some("BEARER "), Key(b"")),
        (Some("Bearer"), NotBearer),
        (Some("Basic YTpi"), NotBearer),
        (Some(""), NotBearer),
    ] {
        assert_eq!(
            Credentials::read(header.map(str::as_bytes)),
            expected,
            "{header:?}"
        );
    }
}
