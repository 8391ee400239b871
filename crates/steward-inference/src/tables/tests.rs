use super::*;

fn parts(providers: &str, routes: &str) -> RouterTables {
    RouterTables {
        catalog: Catalog::load(&BTreeMap::new()).unwrap(),
        providers: toml::from_str(providers).unwrap(),
        routes: toml::from_str(routes).unwrap(),
        models: HashMap::new(),
    }
}

fn build(providers: &str, routes: &str) -> Result<Tables, String> {
    Tables::build(parts(providers, routes), None).map_err(|error| error.to_string())
}

fn refused(providers: &str, routes: &str, wanted: &str) {
    let error = build(providers, routes).err().expect("it must be refused");
    assert!(error.contains(wanted), "{error}");
}

fn auth_of(providers: &str, name: &str) -> AuthStyle {
    let tables = build(providers, "").unwrap();
    match &tables.providers[name].reach {
        Reach::Http(endpoint) => endpoint.auth,
        Reach::Local | Reach::Unset(_) => AuthStyle::None,
    }
}

#[test]
fn what_cannot_work_is_refused_with_its_place() {
    refused("[mine]", "", "providers.mine: it is not in the shipped list, so it needs a dialect");
    refused("[mine]\ndialect = \"gemini\"", "", "needs a base_url");
    refused(
        "[mine]\ndialect = \"gemini\"\nbase_url = \"mine.example\"",
        "",
        "providers.mine.base_url: ",
    );
    refused("", "[a]\ntargets = []", "routes.a.targets: a route needs at least one target");
    refused(
        "",
        "[a]\ntargets = [{ model = \"opnai/gpt-5\" }]",
        "routes.a.targets[0]: there is no provider \"opnai\"; did you mean openai/gpt-5",
    );
    refused(
        "",
        "[a]\ntargets = [{ model = \"local/smol\" }]",
        "there is no model \"local/smol\" on this machine",
    );
    refused(
        "",
        "[a]\ntargets = [{ model = \"openai/x\" }]\ntimeout = { total = \"0s\" }",
        "routes.a.timeout",
    );
}

#[test]
fn an_unknown_model_is_not_found_and_near_names_are_told() {
    let tables = build("", "[default]\ntargets = [{ model = \"openai/gpt-5\" }]").unwrap();
    let error = tables.resolve("defualt").err().unwrap();
    assert_eq!(error.kind, ModelErrorKind::NotFound);
    assert!(error.message.contains("did you mean default"), "{error}");
    assert!(tables.resolve("gpt-5").err().unwrap().message.contains("openai/gpt-5"));
    assert!(tables.resolve("default").is_ok() && tables.resolve("openai/whatever").is_ok());
}

#[test]
fn keys_are_sent_as_the_vendor_wants() {
    assert_eq!(auth_of("", "gemini"), AuthStyle::XGoogApiKey);
    assert_eq!(
        auth_of("[x]\ndialect = \"anthropic\"\nbase_url = \"http://a\"\napi_key = \"k\"", "x"),
        AuthStyle::XApiKey
    );
    assert_eq!(
        auth_of("[x]\ndialect = \"anthropic\"\nbase_url = \"http://a\"", "x"),
        AuthStyle::None
    );
    assert_eq!(auth_of("[ollama]\napi_key = \"k\"", "ollama"), AuthStyle::Bearer);
    assert_eq!(
        auth_of(
            "[minimax]\ndialect = \"anthropic\"\nbase_url = \"http://a\"\napi_key = \"k\"\nauth = \"bearer\"",
            "minimax"
        ),
        AuthStyle::Bearer
    );
}

#[test]
fn what_a_route_weighs_and_waits_for_is_checked() {
    let route = |keys: &str| format!("[a]\ntargets = [{{ model = \"openai/x\" }}]\n{keys}");
    let cases = [
        ("breaker = { ratio = 1.5 }", "routes.a.breaker.ratio"),
        ("breaker = { window = \"1h\" }", "routes.a.breaker.window"),
        ("breaker = { min_requests = 0 }", "routes.a.breaker.min_requests"),
        ("objective = { ttft = \"1s\", share = 0.0 }", "routes.a.objective.share"),
        ("objective = { tpot = \"0s\" }", "routes.a.objective"),
        (
            "weights = { latency = 0.0, cost = 0.0, health = 0.0, headroom = 0.0 }",
            "routes.a.weights",
        ),
        ("weights = { latency = -1.0 }", "routes.a.weights"),
        ("congestion = { min = 0 }", "routes.a.congestion"),
        ("congestion = { min = 9, max = 8 }", "routes.a.congestion"),
        ("congestion = { decrease = 1.0 }", "routes.a.congestion.decrease"),
        ("congestion = { latency_jump = 0.5 }", "routes.a.congestion.latency_jump"),
        ("probe = { every = \"10ms\" }", "routes.a.probe.every"),
        ("probe = { every = \"10s\", path = \"health\" }", "routes.a.probe.path"),
        ("hedge = { budget = 0.5 }", "routes.a.hedge.budget"),
    ];
    for (keys, wanted) in cases {
        refused("", &route(keys), wanted);
    }
    let weights = "[a]\nstrategy = \"weighted\"\ntargets = [{ model = \"openai/x\", weight = 0.0 }]";
    refused("", weights, "at least one target needs a weight above zero");
    let below = "[a]\ntargets = [{ model = \"openai/x\", weight = -1.0 }]";
    refused("", below, "routes.a.targets[0].weight");
}

#[test]
fn what_is_known_of_a_target_outlives_a_change() {
    let routes = "[a]\ntargets = [{ model = \"openai/x\" }]";
    let before = build("[openai]\napi_key = \"k\"", routes).unwrap();
    let next = parts("[openai]\napi_keys = [\"k\", \"l\"]", routes);
    let after = Tables::build(next, Some(&before)).unwrap();
    let target = |tables: &Tables| Arc::clone(&tables.resolve("a").unwrap().targets[0]);
    let (old, new) = (target(&before), target(&after));
    assert!(Arc::ptr_eq(&old.health, &new.health) && Arc::ptr_eq(&old.attained, &new.attained));
    assert_eq!((old.lanes.len(), new.lanes.len()), (1, 2));
    assert!(Arc::ptr_eq(&old.lanes[0], &new.lanes[0]), "the key that stayed keeps its window");
    let direct = after.resolve("openai/x").unwrap();
    assert!(Arc::ptr_eq(&direct.targets[0].health, &new.health));
    assert!(Arc::ptr_eq(&direct, &after.resolve("openai/x").unwrap()), "it is made once");
}
