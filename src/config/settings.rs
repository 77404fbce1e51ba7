//! The table of settings, from which flags, environment variables, file keys and help texts are made.

/// One setting: its flag, environment variable, file key and help text.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The key in the TOML file, in snake case.
    pub key: &'static str,
    /// The flag without its dashes: the key with hyphens.
    pub long: &'static str,
    /// The placeholder of its value in the help text.
    pub value: &'static str,
    /// The help text, a phrase.
    pub help: &'static str,
    /// The default, as shown in the help text.
    pub default: &'static str,
    /// Whether it takes several values: a repeated flag, an array in the file, commas in the environment.
    pub is_list: bool,
}

impl Setting {
    /// The setting with this key.
    #[must_use]
    pub fn named(key: &str) -> Option<&'static Setting> {
        SETTINGS.iter().find(|setting| setting.key == key)
    }

    /// For example `--queue-capacity`.
    #[must_use]
    pub fn flag(&self) -> String {
        format!("--{}", self.long)
    }

    /// For example `ELECTRA_QUEUE_CAPACITY`.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("ELECTRA_{}", self.key.to_uppercase())
    }
}

const fn setting(
    key: &'static str,
    long: &'static str,
    value: &'static str,
    default: &'static str,
    help: &'static str,
) -> Setting {
    Setting {
        key,
        long,
        value,
        help,
        default,
        is_list: false,
    }
}

const fn list(setting: Setting) -> Setting {
    Setting {
        is_list: true,
        ..setting
    }
}

/// All settings, in the order of the help text.
pub const SETTINGS: &[Setting] = &[
    setting(
        "models",
        "models",
        "FOLDER",
        "models",
        "The model repository: a folder of model folders, or one model folder",
    ),
    list(setting(
        "model",
        "model",
        "NAME[@REVISION]",
        "none",
        "Models of the Hugging Face hub, or checkpoint folders, to add to the repository if they are not there",
    )),
    setting(
        "http",
        "http",
        "ADDRESS",
        "0.0.0.0:8080",
        "Address to listen on for HTTP, as HOST:PORT",
    ),
    setting(
        "grpc",
        "grpc",
        "ADDRESS",
        "0.0.0.0:9000",
        "Address to listen on for gRPC, as HOST:PORT, or off",
    ),
    setting(
        "admin_http",
        "admin-http",
        "ADDRESS",
        "off",
        "Address of a listener for metrics and administration, as HOST:PORT; the others then have neither",
    ),
    setting(
        "device",
        "device",
        "DEVICE",
        "auto",
        "The device that runs models: auto, cpu, cuda[:N] or tensorrt[:N]",
    ),
    setting(
        "onnxruntime_library",
        "onnxruntime-library",
        "FILE",
        "searched for",
        "The ONNX Runtime library, if it is not next to the program, in .onnxruntime or in the system",
    ),
    setting(
        "workers",
        "workers",
        "COUNT",
        "the cores this process may use",
        "Threads that run models, at most one per core",
    ),
    setting(
        "queue_capacity",
        "queue-capacity",
        "SEQUENCES",
        "65536",
        "Sequences that may wait for one model; beyond it requests get 429",
    ),
    setting(
        "max_queue_ms",
        "max-queue-ms",
        "MILLISECONDS",
        "1000",
        "Longest expected wait before a request runs; beyond it requests get 429",
    ),
    setting(
        "batch_tokens",
        "batch-tokens",
        "TOKENS",
        "measured when a model loads",
        "Most tokens of a batch of several sequences",
    ),
    setting(
        "precision",
        "precision",
        "PRECISION",
        "auto",
        "The precision that checkpoints in the repository are exported to: auto, fp32, fp16 or int8",
    ),
    setting(
        "load_timeout_ms",
        "load-timeout-ms",
        "MILLISECONDS",
        "300000",
        "Time to load a model, in milliseconds; a load that takes longer fails",
    ),
    setting(
        "watch_interval_ms",
        "watch-interval-ms",
        "MILLISECONDS",
        "2000",
        "Milliseconds between polls of the repository for changes; 0 for never",
    ),
    setting(
        "max_body_bytes",
        "max-body-bytes",
        "BYTES",
        "2097152",
        "Longest request body, in bytes",
    ),
    setting(
        "max_inputs",
        "max-inputs",
        "COUNT",
        "256",
        "Most inputs in one request",
    ),
    setting(
        "max_text_bytes",
        "max-text-bytes",
        "BYTES",
        "131072",
        "Longest text, in bytes of UTF-8",
    ),
    setting(
        "max_inflight_bytes",
        "max-inflight-bytes",
        "BYTES",
        "134217728, or a sixteenth of the cgroup's memory limit if that is less",
        "Most bytes that all requests and unsent answers hold together; beyond it requests get 503",
    ),
    setting(
        "request_timeout_ms",
        "request-timeout-ms",
        "MILLISECONDS",
        "30000",
        "Timeout of a request that does not set one, in milliseconds",
    ),
    setting(
        "max_request_timeout_ms",
        "max-request-timeout-ms",
        "MILLISECONDS",
        "300000",
        "Longest timeout that a request may ask for, in milliseconds",
    ),
    setting(
        "max_connections",
        "max-connections",
        "COUNT",
        "4096",
        "Most open connections; beyond it, only health checks are answered",
    ),
    list(setting(
        "trusted_proxies",
        "trusted-proxies",
        "NETWORK",
        "none",
        "Proxies that are believed when they say who their client is: addresses, networks as 10.0.0.0/8, or unix",
    )),
    list(setting(
        "allowed_hosts",
        "allowed-hosts",
        "HOST",
        "none",
        "Hosts that requests may name: names, *.DOMAIN, addresses or networks; others get 421",
    )),
    list(setting(
        "cors_allow_origins",
        "cors-allow-origins",
        "ORIGIN",
        "none",
        "Origins of other sites whose pages may send requests, as https://app.example.com, or *",
    )),
    setting(
        "api_keys",
        "api-keys",
        "FILE",
        "none",
        "The file of keys, as `electra key` prints them; requests then need one",
    ),
    setting(
        "model_control",
        "model-control",
        "SWITCH",
        "off",
        "Whether models may be loaded and unloaded on request: on or off",
    ),
    setting(
        "tls_certificate",
        "tls-certificate",
        "FILE",
        "none",
        "The server's certificate and its chain, in PEM; with it, all listeners speak TLS alone",
    ),
    setting(
        "tls_key",
        "tls-key",
        "FILE",
        "none",
        "The key of that certificate, in PEM",
    ),
    setting(
        "tls_client_ca",
        "tls-client-ca",
        "FILE",
        "none",
        "Authorities in PEM; with it, clients must show a certificate that one of them has signed",
    ),
    setting(
        "shutdown_delay_ms",
        "shutdown-delay-ms",
        "MILLISECONDS",
        "0",
        "Time after SIGTERM in which the server is not ready but still takes requests, in milliseconds",
    ),
    setting(
        "drain_timeout_ms",
        "drain-timeout-ms",
        "MILLISECONDS",
        "30000",
        "Time to answer accepted requests after that, in milliseconds",
    ),
    setting(
        "priorities",
        "priorities",
        "WHO",
        "any",
        "Who may send x-request-priority: any, or admin",
    ),
    setting(
        "log_format",
        "log-format",
        "FORMAT",
        "text",
        "Format of log lines: text or json",
    ),
    setting(
        "log",
        "log",
        "FILTER",
        "info,ort=warn,h2=error",
        "Log filter: a level (error, warn, info, debug, trace) or TARGET=LEVEL,…",
    ),
];
