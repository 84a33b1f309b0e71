//! The modules' whole surfaces: what a host calls, and what they may call of a host.

/// Says which version of the proxy-wasm ABI the module speaks.
pub(super) const ABI_VERSION: &str = "proxy_abi_version_0_2_1";

/// A module, and what it has to do with its host.
pub(super) struct Surface {
    /// The package it is compiled from.
    pub(super) package: &'static str,
    /// The profile it is compiled with.
    pub(super) profile: &'static str,
    /// What the compiler calls it.
    pub(super) compiled: &'static str,
    /// The callbacks it has beside [`CALLBACKS`].
    pub(super) callbacks: &'static [(&'static str, &'static str)],
    /// What it may import from `env` beside [`IMPORTS`].
    pub(super) imports: &'static [&'static str],
}

/// `weir.wasm`, which takes pushes.
pub(super) const PUSH: Surface = Surface {
    package: "weir-plugin",
    profile: "wasm",
    compiled: "weir.wasm",
    callbacks: &[],
    imports: &[],
};

/// `weir-door.wasm`, through which applications call WeChat.
pub(super) const DOOR: Surface = Surface {
    package: "weir-door-plugin",
    profile: "door",
    compiled: "weir_door_plugin.wasm",
    callbacks: &[
        (
            "proxy_on_response_headers",
            "WeChat's answer is looked at before it passes",
        ),
        (
            "proxy_on_response_body",
            "its errcode: a refused access token is replaced, and the call made again",
        ),
    ],
    imports: &[
        "proxy_continue_stream",
        "proxy_get_header_map_pairs",
        "proxy_get_property",
        "proxy_remove_header_map_value",
        "proxy_replace_header_map_value",
        "proxy_set_buffer_bytes",
    ],
};

/// `weir-login.wasm`, which knows who the users of mini programs and pages are.
pub(super) const LOGIN: Surface = Surface {
    package: "weir-login-plugin",
    profile: "door",
    compiled: "weir_login_plugin.wasm",
    callbacks: &[(
        "proxy_on_response_headers",
        "a guest gets a cookie with the application's answer",
    )],
    imports: &[
        "proxy_add_header_map_value",
        "proxy_get_header_map_pairs",
        "proxy_remove_header_map_value",
        "proxy_replace_header_map_value",
    ],
};

/// The callbacks Weir uses, each with its reason. A host calls whatever is exported: each callback that does nothing
/// would still cost a crossing from the host into the VM at every push, so all others are dropped from the module.
pub(super) const CALLBACKS: &[(&str, &str)] = &[
    ("proxy_on_vm_start", "the host insists on it"),
    (
        "proxy_on_configure",
        "checks the configuration, makes the shared tables",
    ),
    (
        "proxy_on_context_create",
        "tells a root context from a push",
    ),
    ("proxy_on_tick", "deadlines, retries, leases"),
    (
        "proxy_on_queue_ready",
        "the hop from a push to the root context, which outlives it",
    ),
    (
        "proxy_on_request_headers",
        "path, method, length; a GET is answered here",
    ),
    ("proxy_on_request_body", "the push"),
    (
        "proxy_on_request_trailers",
        "the end of a push that has trailers",
    ),
    (
        "proxy_on_http_call_response",
        "answers of the store and of WeChat's API",
    ),
    (
        "proxy_on_done",
        "a client that has gone is not answered; a replaced configuration finishes its deliveries first",
    ),
];

/// The callbacks are the plugin's own: an export with this prefix takes the place of the SDK's.
pub(super) const OWN_PREFIX: &str = "weir_on_";
/// What callbacks are called by the ABI.
pub(super) const CALLBACK_PREFIX: &str = "proxy_on_";

/// Exports that are no callbacks: memory, its allocator, and the start function of the language's runtime.
pub(super) const PLUMBING: &[&str] = &[
    "memory",
    "_initialize",
    "_start",
    "malloc",
    "proxy_on_memory_allocate",
];

/// Everything the module may import, by the importing module's name. All of it exists in Envoy and in the wasmtime
/// host. Neither files nor sockets are among it, and no gRPC.
pub(super) const IMPORTS: &[(&str, &[&str])] = &[
    (
        "env",
        &[
            "proxy_define_metric",
            "proxy_dequeue_shared_queue",
            "proxy_done",
            "proxy_enqueue_shared_queue",
            "proxy_get_buffer_bytes",
            "proxy_get_header_map_value",
            "proxy_get_shared_data",
            "proxy_http_call",
            "proxy_increment_metric",
            "proxy_log",
            "proxy_record_metric",
            "proxy_register_shared_queue",
            "proxy_send_local_response",
            "proxy_set_effective_context",
            "proxy_set_shared_data",
            "proxy_set_tick_period_milliseconds",
        ],
    ),
    (
        "wasi_snapshot_preview1",
        &[
            "clock_time_get",
            "environ_get",
            "environ_sizes_get",
            "fd_write",  // panic messages: the host logs them
            "proc_exit", // abort
            "random_get",
        ],
    ),
];
