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
