//! Web pages of other origins. A parameter names the origins whose pages may call the API; by default none may.

use http::Method;

use crate::world::{
    Shop,
    requests::{answered, asked, with_json},
    shop::template_with,
};

const PAGE: &str = "https://shop.example.com";

/// A shop whose template allows these origins.
async fn shop(origins: Option<&str>) -> Shop {
    let given: Vec<_> = origins.map(|origins| ("AllowedOrigins", origins)).into_iter().collect();
    Shop::of(&template_with(&given).expect("the template can be read"), 1).await
}

/// The status of an answer, and its headers for a browser.
async fn told(shop: &Shop, method: Method, path: &str, headers: &[(&str, &str)]) -> (u16, Vec<String>) {
    let mut request = asked(method, path, None);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (parts, _) = answered(shop.stack.router(), with_json(request, None)).await;
    let told = parts.headers.iter().filter(|(name, _)| name.as_str().starts_with("access-control-"));
    let told = told.map(|(name, value)| format!("{name}: {}", value.to_str().expect("text")));
    (parts.status.as_u16(), told.collect())
}

const PREFLIGHT: [(&str, &str); 3] = [
    ("origin", PAGE),
    ("access-control-request-method", "POST"),
    ("access-control-request-headers", "authorization,content-type,idempotency-key"),
];

#[tokio::test(start_paused = true)]
async fn a_page_of_an_allowed_origin_may_order() {
    let shop = shop(Some("http://localhost:5173,https://shop.example.com")).await;
    let allowed = [
        "access-control-allow-origin: https://shop.example.com",
        "access-control-allow-methods: GET,POST,PUT,PATCH,DELETE",
        "access-control-allow-headers: authorization,content-type,idempotency-key,if-match",
        "access-control-max-age: 600",
    ];
    for path in ["/orders", "/orders/1/cancel", "/inventory/TEA-1"] {
        // A browser sends a preflight without a token.
        let (status, told) = told(&shop, Method::OPTIONS, path, &PREFLIGHT).await;
        assert_eq!((status, told.as_slice()), (204, &allowed.map(str::to_owned)[..]), "{path}");
    }

    let bearer = format!("Bearer {}", shop.signed_in("Ada").token);
    let readable = [
        "access-control-allow-origin: https://shop.example.com",
        "access-control-expose-headers: etag,location,retry-after,idempotent-replayed,apigw-requestid",
    ];
    for (path, status) in [("/orders", 200), ("/orders/1", 404)] {
        let answer = told(&shop, Method::GET, path, &[("origin", PAGE), ("authorization", &bearer)]).await;
        assert_eq!(answer, (status, readable.map(str::to_owned).to_vec()), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_of_another_origin_gets_no_permission() {
    let shop = shop(Some(PAGE)).await;
    let evil = [("origin", "https://evil.example"), ("access-control-request-method", "POST")];
    assert_eq!(told(&shop, Method::OPTIONS, "/orders", &evil).await, (204, Vec::new()));
    assert_eq!(told(&shop, Method::GET, "/health", &evil[..1]).await, (200, Vec::new()));
    // A client that is no browser names no origin.
    assert_eq!(told(&shop, Method::GET, "/health", &[]).await, (200, Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn by_default_no_page_may_call_the_api() {
    for origins in [None, Some("")] {
        let shop = shop(origins).await;
        assert_eq!(told(&shop, Method::OPTIONS, "/orders", &PREFLIGHT).await, (404, Vec::new()));
        assert_eq!(told(&shop, Method::GET, "/health", &PREFLIGHT[..1]).await, (200, Vec::new()));
    }
}
