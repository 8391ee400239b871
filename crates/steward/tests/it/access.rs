//! Who may reach what: keys, roles, links, cookies, and names that are not ours.

use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};
use steward_testkit::script::{Reply, Script};

use crate::house::{House, answer, until};

async fn house() -> House {
    House::start(Script::by_step([Reply::text("hello")])).await
}

/// Makes a key by the command line and gives its id and secret.
async fn key(house: &House, arguments: &[&str]) -> (String, String) {
    let whole = [&["keys", "create"], arguments, &["--json"]].concat();
    let made = house.steward(&whole).await.json();
    let text = |field: &str| made[field].as_str().unwrap().to_owned();
    assert!(text("key").starts_with("sk-steward-"), "{made}");
    assert!(!text("expires_at").is_empty());
    (text("id"), text("key"))
}

async fn status_as(house: &House, key: &str, method: Method, path: &str) -> StatusCode {
    let request = house.request_as(key, method, path).json(&json!({}));
    request.send().await.unwrap().status()
}

/// Every method and path of the API's own description, with an id that nobody has.
async fn all_calls(house: &House) -> Vec<(Method, String)> {
    let (status, document) = answer(house.request(Method::GET, "/api/openapi.json")).await;
    assert_eq!(status, 200, "the description is open");
    let mut calls = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let path = path.replace("{id}", "unknown").replace("{name}", "unknown");
            calls.push((method.to_uppercase().parse().unwrap(), path));
        }
    }
    calls
}

fn is_open(path: &str) -> bool {
    let is_sign_in = path.starts_with("/api/session") && !path.starts_with("/api/sessions") && path != "/api/session/set-password";
    is_sign_in || ["/healthz", "/readyz", "/api/openapi.json"].contains(&path)
}

#[tokio::test]
async fn every_path_without_a_key_is_401() {
    let house = house().await;
    let mut calls = all_calls(&house).await;
    assert!(calls.len() > 30, "{calls:?}");
    for path in [
        "/api/nothing",
        "/api/turns/unknown/nothing",
        "/v1/nothing",
        "/v1beta/models/m:generateContent",
        "/mcp/x",
        "/hooks/x",
    ] {
        calls.extend([(Method::GET, path.to_owned()), (Method::POST, path.to_owned())]);
    }
    for (method, path) in calls.into_iter().filter(|(_, path)| !is_open(path)) {
        let request = house.request(method.clone(), &path).json(&json!({}));
        assert_eq!(request.send().await.unwrap().status(), 401, "{method} {path} without a key");
        let status = status_as(&house, "sk-steward-0000000000000000", method.clone(), &path).await;
        assert!(status == 401 || status == 429, "{method} {path} with a wrong key: {status}");
    }
    assert_eq!(house.request(Method::GET, "/api/session").send().await.unwrap().status(), 401);
    assert_eq!(house.model.count(), 0);
}

#[tokio::test]
async fn a_401_has_the_shape_of_the_callers_dialect() {
    let house = house().await;
    let (_, value) = answer(house.request(Method::POST, "/v1/chat/completions").body("{}")).await;
    assert!(
        value["error"]["message"].is_string() && value["error"]["type"].is_string(),
        "{value}"
    );
    let (_, value) = answer(house.request(Method::POST, "/v1/messages").body("{}")).await;
    assert_eq!(value["type"], "error", "{value}");
    let (_, value) = answer(house.request(Method::GET, "/api/turns")).await;
    assert_eq!(value["error"]["code"], "unauthenticated", "{value}");
}

#[tokio::test]
async fn a_key_is_taken_from_each_of_the_three_headers_and_from_no_query() {
    let house = house().await;
    let (_, secret) = key(&house, &["three"]).await;
    for (name, value) in [
        ("authorization", format!("Bearer {secret}")),
        ("x-api-key", secret.clone()),
        ("x-goog-api-key", secret.clone()),
    ] {
        let request = house.request(Method::GET, "/v1/models").header(name, value);
        assert_eq!(request.send().await.unwrap().status(), 200, "{name}");
    }
    let (status, value) = answer(house.request(Method::GET, &format!("/v1/models?key={secret}"))).await;
    assert_eq!(status, 400, "{value}");
}

#[tokio::test]
async fn a_forged_host_or_origin_is_403_on_every_call() {
    let house = house().await;
    for path in ["/", "/healthz", "/api/turns", "/v1/models"] {
        for (name, value) in [("host", "evil.example"), ("origin", "http://evil.example"), ("origin", "null")] {
            let request = house.request_as(&house.token(), Method::GET, path).header(name, value);
            assert_eq!(request.send().await.unwrap().status(), 403, "{path} with {name}: {value}");
        }
    }
    let own = format!("http://{}", house.address());
    let request = house.request_as(&house.token(), Method::GET, "/api/turns").header("origin", own);
    assert_eq!(request.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_revoked_key_is_401_at_once() {
    let house = house().await;
    let (id, secret) = key(&house, &["short-lived"]).await;
    assert_eq!(status_as(&house, &secret, Method::GET, "/api/turns").await, 200);
    assert_eq!(house.steward(&["keys", "revoke", &id]).await.code, 0);
    assert_eq!(status_as(&house, &secret, Method::GET, "/api/turns").await, 401);
    let listed = house.steward(&["keys", "list", "--json"]).await.json();
    assert!(listed[0]["revoked_at"].is_string(), "{listed}");
    assert!(!listed.to_string().contains(&secret), "a key is shown once");
}

#[tokio::test]
async fn an_expired_key_is_401() {
    let house = house().await;
    let (_, secret) = key(&house, &["brief", "--expires", "1s"]).await;
    until("the key expires", async || {
        status_as(&house, &secret, Method::GET, "/api/turns").await == 401
    })
    .await;
    let ran = house.steward(&["keys", "create", "never", "--expires", "366d", "--json"]).await;
    assert_eq!(ran.code, 1, "{ran:?}");
}

#[tokio::test]
async fn a_members_key_cannot_administer_and_sees_only_its_own() {
    let house = house().await;
    let (_, member) = key(&house, &["member", "--user", "ana"]).await;
    let foreign = house.say("s", "a private matter").await;
    let foreign = foreign["id"].as_str().unwrap();
    for (method, path) in [
        (Method::GET, "/api/keys"),
        (Method::POST, "/api/keys"),
        (Method::POST, "/api/keys/unknown/revoke"),
        (Method::GET, "/api/config"),
        (Method::PATCH, "/api/config"),
        (Method::POST, "/api/backups"),
        (Method::POST, "/api/signin-links"),
        (Method::POST, "/api/providers/scripted/test"),
        (Method::GET, "/api/spend"),
    ] {
        assert_eq!(status_as(&house, &member, method.clone(), path).await, 403, "{method} {path}");
    }
    assert_eq!(status_as(&house, &member, Method::GET, &format!("/api/turns/{foreign}")).await, 404);
    assert_eq!(
        status_as(&house, &member, Method::POST, &format!("/api/turns/{foreign}/stop")).await,
        404
    );
    assert_eq!(status_as(&house, &member, Method::GET, "/api/sessions/s/messages").await, 404);
    let (status, own) = answer(
        house
            .request_as(&member, Method::POST, "/api/sessions/s/messages")
            .json(&json!({"text": "hello"})),
    )
    .await;
    assert_eq!(status, 202, "{own}");
    let turn = own["turn_id"].as_str().unwrap();
    assert_ne!(turn, foreign);
    house.end_of(turn).await;
    let (_, turns) = answer(house.request_as(&member, Method::GET, "/api/turns")).await;
    let ids: Vec<&Value> = turns["items"].as_array().unwrap().iter().map(|turn| &turn["id"]).collect();
    assert_eq!(ids, [&json!(turn)]);
    assert!(
        !house.model.requests()[1].body.to_string().contains("private matter"),
        "the same name is another session"
    );
}

#[tokio::test]
async fn a_viewers_key_reads_and_changes_nothing() {
    let house = house().await;
    let (_, viewer) = key(&house, &["viewer", "--role", "viewer"]).await;
    let turn = house.say("s", "hello").await;
    let id = turn["id"].as_str().unwrap();
    assert_eq!(status_as(&house, &viewer, Method::GET, "/api/spend").await, 200);
    assert_eq!(status_as(&house, &viewer, Method::GET, &format!("/api/turns/{id}")).await, 200);
    let text = json!({"text": "hello"});
    let request = house.request_as(&viewer, Method::POST, "/api/sessions/v/messages").json(&text);
    assert_eq!(request.send().await.unwrap().status(), 403);
    assert_eq!(
        status_as(&house, &viewer, Method::POST, &format!("/api/turns/{id}/undo")).await,
        403
    );
}

#[tokio::test]
async fn a_key_of_role_owner_is_not_made_by_a_key() {
    let house = house().await;
    let (_, admin) = key(&house, &["admin", "--role", "admin"]).await;
    let request = house
        .request_as(&admin, Method::POST, "/api/keys")
        .json(&json!({"name": "more", "role": "owner"}));
    assert_eq!(request.send().await.unwrap().status(), 403);
    let request = house
        .request_as(&admin, Method::POST, "/api/keys")
        .json(&json!({"name": "more", "role": "member"}));
    assert_eq!(request.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_key_bound_to_an_agent_reaches_no_other() {
    let mut house = House::prepare(Script::by_step([Reply::text("hello")])).await;
    house.add_configuration("[agents.helper]\nroute = \"default\"\n");
    house.serve().await;
    let (_, bound) = key(&house, &["bound", "--agent", "helper"]).await;
    let chat = |agent: &str| json!({"model": format!("agent/{agent}"), "messages": [{"role": "user", "content": "hi"}]});
    let post = async |path: &str, body: Value| answer(house.request_as(&bound, Method::POST, path).json(&body)).await;
    let (status, value) = post("/v1/chat/completions", chat("main")).await;
    assert_eq!(
        (status.as_u16(), &value["error"]["code"]),
        (403, &json!("policy_denied")),
        "{value}"
    );
    let (status, value) = post("/api/sessions/s/messages", json!({"text": "hi", "agent": "main"})).await;
    assert_eq!(status, 403, "{value}");
    let (status, value) = post("/v1/chat/completions", chat("helper")).await;
    assert_eq!(status, 200, "{value}");
    let turns = house.get("/api/turns").await;
    let agents: Vec<&Value> = turns["items"].as_array().unwrap().iter().map(|turn| &turn["agent"]).collect();
    assert_eq!(agents, [&json!("helper")]);
}

/// Signs in by the link that the server prints and gives the cookie, the token for changes and the link's own token.
async fn sign_in(house: &mut House) -> (String, String, String) {
    let line = house.server().next_line().await;
    let token = line.split("/#signin=").nth(1).expect(&line).split(' ').next().unwrap().to_owned();
    let request = house.request(Method::POST, "/api/session/link").json(&json!({"token": token}));
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    let set = response.headers()[header::SET_COOKIE].to_str().unwrap().to_owned();
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Strict"), "{set}");
    let who: Value = response.json().await.unwrap();
    assert_eq!(who["role"], "owner", "{who}");
    (
        set.split(';').next().unwrap().to_owned(),
        who["csrf"].as_str().unwrap().to_owned(),
        token,
    )
}

#[tokio::test]
async fn a_sign_in_link_works_once() {
    let mut house = house().await;
    let (_, _, token) = sign_in(&mut house).await;
    let request = house.request(Method::POST, "/api/session/link").json(&json!({"token": token}));
    assert_eq!(request.send().await.unwrap().status(), 401);
    let link = house.steward(&["open", "--json"]).await.json();
    assert!(
        link["url"].as_str().unwrap().starts_with(&format!("{}/#signin=", house.url())),
        "{link}"
    );
}

#[tokio::test]
async fn a_change_by_cookie_needs_our_own_page_and_its_token() {
    let mut house = house().await;
    let (cookie, csrf, _) = sign_in(&mut house).await;
    let origin = format!("http://{}", house.address());
    let post = async |headers: &[(&str, &str)]| {
        let mut request = house.request(Method::POST, "/api/sessions/s/messages").header("cookie", &cookie);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.json(&json!({"text": "hello"})).send().await.unwrap().status()
    };
    assert_eq!(post(&[]).await, 403);
    assert_eq!(post(&[("origin", &origin)]).await, 403);
    assert_eq!(post(&[("x-steward-csrf", &csrf)]).await, 403);
    assert_eq!(post(&[("origin", &origin), ("x-steward-csrf", "wrong")]).await, 403);
    let cross = [
        ("origin", origin.as_str()),
        ("x-steward-csrf", &csrf),
        ("sec-fetch-site", "cross-site"),
    ];
    assert_eq!(post(&cross).await, 403);
    assert_eq!(post(&[("origin", &origin), ("x-steward-csrf", &csrf)]).await, 202);
    let read = house.request(Method::GET, "/api/session").header("cookie", &cookie);
    assert_eq!(read.send().await.unwrap().status(), 200);
    let out = house.request(Method::DELETE, "/api/session").header("cookie", &cookie);
    let out = out.header("origin", &origin).header("x-steward-csrf", &csrf);
    assert_eq!(out.send().await.unwrap().status(), 204);
    let read = house.request(Method::GET, "/api/session").header("cookie", &cookie);
    assert_eq!(read.send().await.unwrap().status(), 401, "signed out is signed out");
}

#[tokio::test]
async fn a_password_signs_in_and_a_key_does() {
    let mut house = house().await;
    let (cookie, csrf, _) = sign_in(&mut house).await;
    let origin = format!("http://{}", house.address());
    let set = house.request(Method::POST, "/api/session/set-password").header("cookie", &cookie);
    let set = set.header("origin", &origin).header("x-steward-csrf", &csrf);
    assert_eq!(
        set.json(&json!({"password": "a long enough one"})).send().await.unwrap().status(),
        204
    );
    let by = async |path: &str, body: Value| answer(house.request(Method::POST, path).json(&body)).await;
    let (status, who) = by("/api/session/password", json!({"user": "owner", "password": "a long enough one"})).await;
    assert_eq!((status.as_u16(), &who["has_password"]), (200, &json!(true)), "{who}");
    let (status, _) = by("/api/session/password", json!({"user": "owner", "password": "another"})).await;
    assert_eq!(status, 401);
    let (_, secret) = key(&house, &["for-the-console"]).await;
    let (status, who) = by("/api/session/key", json!({"key": secret})).await;
    assert_eq!((status.as_u16(), &who["role"]), (200, &json!("member")), "{who}");
}

#[tokio::test]
async fn failed_sign_ins_are_limited() {
    let house = house().await;
    let attempt = async || {
        let body = json!({"token": "wrong"});
        house.request(Method::POST, "/api/session/link").json(&body).send().await.unwrap()
    };
    let mut failures = 0;
    let limited = loop {
        let response = attempt().await;
        if response.status() == 429 {
            break response;
        }
        assert_eq!(response.status(), 401);
        failures += 1;
        assert!(failures <= 20, "nobody stops it");
    };
    assert!(limited.headers().contains_key("retry-after"));
    assert_eq!(
        house.get("/api/turns").await["items"],
        json!([]),
        "the owner on the machine is not locked out"
    );
}
