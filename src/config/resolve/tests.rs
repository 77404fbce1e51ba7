//! Tests of [`super`].

use super::*;

fn arguments(settings: &[(&'static str, &str)]) -> SettingArguments {
    SettingArguments {
        config: None,
        settings: settings
            .iter()
            .map(|(key, value)| (*key, (*value).to_owned()))
            .collect(),
    }
}

fn resolved(
    flags: &[(&'static str, &str)],
    environment: &[(&str, &str)],
    file: Option<&str>,
) -> Result<Config, Vec<(String, String)>> {
    let look_up = |name: &str| {
        environment
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| (*value).to_owned())
    };
    resolve(
        &arguments(flags),
        look_up,
        file.map(|text| ("electra.toml", text)),
    )
    .map_err(|error| {
        error
            .mistakes
            .into_iter()
            .map(|mistake| (mistake.source, mistake.reason))
            .collect()
    })
}

#[test]
fn nothing_given_is_the_defaults_the_help_text_shows() {
    let config = resolved(&[], &[], None).unwrap();
    let shown: Vec<(&'static str, &str)> = SETTINGS
        .iter()
        .filter(|setting| {
            let not_values = [
                "model",
                "onnxruntime_library",
                "workers",
                "batch_tokens",
                "max_inflight_bytes",
            ];
            !not_values.contains(&setting.key)
        })
        .map(|setting| (setting.key, setting.default))
        .collect();
    assert_eq!(resolved(&shown, &[], None).unwrap(), config);
    assert_eq!(config.batch_tokens, None);
    assert!(config.max_inflight_bytes.get() <= 128 << 20);
    assert_eq!(
        config.workers,
        std::thread::available_parallelism().unwrap()
    );
}

#[test]
fn flags_are_named_like_their_keys() {
    for setting in SETTINGS {
        assert_eq!(setting.long, setting.key.replace('_', "-"));
    }
}

#[test]
fn flag_beats_environment_beats_file() {
    let file = Some("queue_capacity = 1\nworkers = 1\nlog = \"warn\"");
    let environment = [
        ("ELECTRA_QUEUE_CAPACITY", "2"),
        ("ELECTRA_WORKERS", "2"),
        ("ELECTRA_LOG", ""),
    ];
    let config = resolved(&[("queue_capacity", "3")], &environment, file).unwrap();
    assert_eq!((config.queue_capacity.get(), config.workers.get()), (3, 2));
    assert_eq!(
        config.log.filter, "warn",
        "an empty variable counts as not set"
    );
}

#[test]
fn a_list_may_be_an_array_in_the_file() {
    let config = resolved(&[], &[], Some("model = [\"a/b\", \"c@v1\"]")).unwrap();
    let names: Vec<String> = config.model.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["a/b", "c@v1"]);
    let config = resolved(&[], &[("ELECTRA_MODEL", "a/b,c")], None).unwrap();
    assert_eq!(config.model.len(), 2);
}

#[test]
fn trusted_proxies_are_a_list_that_is_checked() {
    let proxies = |file: &str| resolved(&[], &[], Some(file)).map(|config| config.connections);
    let array = proxies("trusted_proxies = [\"10.0.0.0/8\", \"unix\"]").unwrap();
    assert_eq!(array.trusted_proxies, "10.0.0.0/8,unix".parse().unwrap());
    let mistakes = proxies("trusted_proxies = \"10.0.0.0/99\"").unwrap_err();
    assert!(mistakes[0].1.contains("`10.0.0.0/99` is not a network"));
}

#[test]
fn keys_that_are_empty_are_mistakes() {
    for variable in ["ELECTRA_API_KEYS", "ELECTRA_API_KEY"] {
        let mistakes = resolved(&[], &[(variable, "")], None).unwrap_err();
        assert_eq!(mistakes[0].0, variable);
        assert!(
            mistakes[0].1.contains("to serve without keys"),
            "{mistakes:?}"
        );
    }
    let config = resolved(&[], &[("ELECTRA_API_KEY", "a-key")], None).unwrap();
    assert!(config.access.has_keys());
    assert!(!format!("{config:?}").contains("a-key"));
    assert!(resolved(&[], &[("ELECTRA_API_KEY", "a key")], None).is_err());
    assert!(!resolved(&[], &[], None).unwrap().access.has_keys());
}

#[test]
fn tls_needs_a_certificate_and_its_key() {
    let files = [
        ("tls_certificate", "a.pem"),
        ("tls_key", "b.pem"),
        ("tls_client_ca", "c.pem"),
    ];
    let tls = resolved(&files, &[], None).unwrap().tls.unwrap();
    assert_eq!(tls.certificate.to_str(), Some("a.pem"));
    assert_eq!(tls.key.to_str(), Some("b.pem"));
    assert_eq!(tls.client_ca.unwrap().to_str(), Some("c.pem"));
    assert_eq!(
        resolved(&files[..2], &[], None)
            .unwrap()
            .tls
            .unwrap()
            .client_ca,
        None
    );
    for (given, source, missing) in [
        (&files[..1], "--tls-certificate", "tls_key"),
        (&files[1..2], "--tls-key", "tls_certificate"),
        (&files[1..], "--tls-key", "tls_certificate"),
        (
            &files[2..],
            "--tls-client-ca",
            "tls_certificate and tls_key",
        ),
    ] {
        // Beside the others.
        let flags = [given, &[("workers", "0")]].concat();
        let mistakes = resolved(&flags, &[], None).unwrap_err();
        let sources: Vec<&str> = mistakes.iter().map(|(source, _)| source.as_str()).collect();
        assert_eq!(sources, ["--workers", source]);
        assert!(mistakes[1].1.contains(missing), "{mistakes:?}");
    }
}

#[test]
fn a_wrong_value_that_is_overridden_does_no_harm() {
    assert_eq!(
        resolved(&[("workers", "2")], &[("ELECTRA_WORKERS", "many")], None)
            .unwrap()
            .workers
            .get(),
        2
    );
}

#[test]
fn every_mistake_is_reported_with_its_source() {
    let mistakes = resolved(
        &[("workers", "0")],
        &[("ELECTRA_DEVICE", "gpu"), ("ELECTRA_HTTP", "8080")],
        Some("queue_capcity = 5\nmax_inputs = [1]\nbatch_tokens = -3"),
    )
    .unwrap_err();
    let mut sources: Vec<&str> = mistakes.iter().map(|(source, _)| source.as_str()).collect();
    sources.sort_unstable();
    assert_eq!(
        sources,
        [
            "--workers",
            "ELECTRA_DEVICE",
            "ELECTRA_HTTP",
            "electra.toml, key batch_tokens",
            "electra.toml, key max_inputs",
            "electra.toml, key queue_capcity",
        ]
    );
    let unknown = &mistakes
        .iter()
        .find(|(source, _)| source.ends_with("capcity"))
        .unwrap()
        .1;
    assert!(unknown.contains("`queue_capacity`"), "{unknown}");
}

#[test]
fn a_file_that_is_not_toml_does_not_hide_other_mistakes() {
    let mistakes = resolved(&[("log_format", "xml")], &[], Some("workers = ")).unwrap_err();
    assert_eq!(mistakes.len(), 2);
}

#[test]
fn the_default_time_of_a_request_must_be_allowed() {
    let mistakes = resolved(&[("max_request_timeout_ms", "1000")], &[], None).unwrap_err();
    assert_eq!(mistakes[0].0, "--max-request-timeout-ms");
}

#[test]
fn grpc_is_off_or_has_an_address_of_its_own() {
    let grpc = |address: &str| resolved(&[("grpc", address), ("http", ":0")], &[], None);
    assert_eq!(grpc("off").unwrap().grpc, None);
    assert_eq!(grpc(":0").unwrap().grpc.as_deref(), Some("0.0.0.0:0"));
    let mistakes = resolved(&[], &[("ELECTRA_GRPC", ":8080")], None).unwrap_err();
    assert_eq!(mistakes[0].0, "ELECTRA_GRPC");
}

#[test]
fn an_unreadable_file_is_a_mistake_beside_the_others() {
    let mut arguments = arguments(&[("workers", "x")]);
    arguments.config = Some("no/such/file.toml".to_owned());
    let error = load(&arguments, |_| None).unwrap_err();
    let sources: Vec<_> = error
        .mistakes
        .iter()
        .map(|mistake| mistake.source.as_str())
        .collect();
    assert_eq!(sources, ["--config", "--workers"]);
}
