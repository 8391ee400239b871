use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

use super::*;

fn account() -> ServiceAccount {
    ServiceAccount {
        kind: "service_account".into(),
        client_email: "robot@project.example".into(),
        private_key: format!(
            "-----BEGIN PRIVATE KEY-----\n{}-----END PRIVATE KEY-----\n",
            include_str!("../../../fixtures/rsa_for_tests.b64")
        ),
        private_key_id: Some("key-1".into()),
        token_uri: "https://oauth2.example/token".into(),
    }
}

#[test]
fn the_claim_is_signed_and_says_what_google_wants() {
    let account = account();
    let now: Timestamp = "2026-02-03T04:05:06Z".parse().unwrap();
    let jwt = claim(&account, now).unwrap();
    let (signed, signature) = jwt.rsplit_once('.').unwrap();
    let public = private_key(&account.private_key).unwrap().public().as_ref().to_vec();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public)
        .verify(signed.as_bytes(), &signature)
        .expect("the signature is good");
    let part = |text: &str| serde_json::from_slice::<serde_json::Value>(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap();
    let (head, claims) = signed.split_once('.').unwrap();
    assert_eq!(part(head), json!({ "alg": "RS256", "typ": "JWT", "kid": "key-1" }));
    let issued = now.as_second();
    let wanted = json!({
        "iss": "robot@project.example",
        "scope": SCOPE,
        "aud": "https://oauth2.example/token",
        "iat": issued,
        "exp": issued + 3600,
    });
    assert_eq!(part(claims), wanted);
}

#[test]
fn tokens_are_fetched_over_tls_or_from_this_machine_only() {
    assert!(token_url("https://oauth2.googleapis.com/token").is_ok());
    assert!(token_url("http://127.0.0.1:1234/token").is_ok());
    assert!(token_url("http://evil.example/token").is_err());
    assert!(token_url("nonsense").is_err());
}

#[test]
fn a_key_that_cannot_sign_is_named_and_not_shown() {
    let mut account = account();
    account.private_key = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----".into();
    let error = claim(&account, Timestamp::UNIX_EPOCH).unwrap_err();
    assert_eq!(error.kind, ModelErrorKind::Auth);
    assert!(!error.message.contains("c2Vj"), "{error}");
}
