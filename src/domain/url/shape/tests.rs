//! Texts with a shape, without one, and refused ones.

use super::*;

const SHAPE: Shape = Shape {
    canonical: "https://e.com/{id}",
    id: Form { of: Characters::Digits, length: (2, 3), except: "000 99", names_post: true },
    spellings: "e.com/{id} e.com/v/{id}.html e.com/@*/{id} e.com/*/in/{id} e.com/{id}/{key}
                e.com/posts/*-post-{id} e.com/posts/*-post-{id}-{code} e.com/t/{id}_* e.com/at/@/{id}
                e.com/watch?v={id} e.com/p/{id}/embed other.com/?v=v{id}",
    keeps: "h p",
    reserved: "share own",
};

fn read(host: &str, rest: &str) -> Result<Option<String>, InvalidUrl> {
    SHAPE.canonical(host, &Parts::split(true, rest).expect(rest))
}

#[track_caller]
fn assert_is(rest: &str, expected: Option<&str>) {
    let host = rest.split(['/', '?']).next().unwrap();
    let expected = expected.map(|id| format!("https://e.com/{id}"));
    assert_eq!(read(host, rest), Ok(expected), "{rest}");
}

#[test]
fn every_spelling_leads_to_the_canonical_form() {
    for rest in [
        "e.com/12",
        "e.com/12/",
        "e.com/%312",
        "e.com/v/12.html",
        "e.com/@ann/12",
        "e.com/%40ann/12",
        "e.com/ann/in/12",
        "e.com/posts/a-b-post-12-abCD",
        "e.com/posts/a-post-99-post-12-x_yz",
        "e.com/posts/a-post-11-post-12-x-y-",
        "e.com/posts/a-post-12",
        "e.com/posts/a-post-11-post-12",
        "e.com/t/12_a_b",
        "e.com/at/@/12",
        "e.com/p/12/embed",
        "e.com/watch?v=12",
        "e.com/watch/?v=12",
        "e.com/watch?v=12&v=%312&a=b",
        "other.com?v=v12",
        "other.com/?a&v=v12",
    ] {
        assert_is(rest, Some("12"));
    }
}

#[test]
fn what_does_not_fit_exactly_is_no_known_shape() {
    for rest in [
        "e.com",
        "e.com/1",
        "e.com/1234",
        "e.com/1a",
        "e.com/000",
        "e.com/99",
        "e.com//12",
        "e.com/12//",
        "e.com/V/12.html",
        "e.com/v/12.htm",
        "e.com/v/12",
        "e.com/@/12",
        "e.com/ann/12",
        "e.com/share/in/12",
        "e.com/own/in/12",
        "e.com//in/12",
        "e.com/@share/12",
        "e.com/a%2Fb/in/12",
        "e.com/%FF/in/12",
        "e.com/../in/12",
        "e.com/%2E/in/12",
        "e.com/Share/in/12",
        "e.com/@OWN/12",
        "e.com/posts/-post-12-x",
        "e.com/posts/a-post-12-",
        "e.com/posts/a-post-12-abc",
        "e.com/posts/a-post-12-abcde",
        "e.com/posts/a-post-12-ab.d",
        "e.com/posts/a-post-12-é34",
        "e.com/posts/a-post-12-other-13-abCD",
        "e.com/posts/a-post-12-other-13",
        "e.com/t/12_",
        "e.com/at/@a/12",
        "e.com/12.studio",
        "e.com/12.json?a",
        "e.com/12/a1.json",
        "e.com/12/m\u{fc}ller",
        "e.com/p/12/embed.json",
        "e.com/p/12/!embed",
        "e.com/watch!?v=12",
        "e.com/posts/12",
        "e.com/watch",
        "e.com/watch?v=12&v=13",
        "e.com/watch?V=12",
        "e.com/watch?v=",
        "e.com/watch/x?v=12",
        "other.com/?v=12",
        "other.com/12",
        "e.com/12/a-b",
        "e.com/12/a/b",
    ] {
        assert_is(rest, None);
    }
    assert_eq!(read("com", "com.e/12"), Ok(None));
    assert_eq!(read("e.co", "e.com/12"), Ok(None));
    assert_eq!(read("third.com", "third.com/12"), Ok(None));
}

#[test]
fn what_tells_posts_apart_is_kept() {
    for (rest, expected) in [
        ("e.com/12?h=a", Some("12?h=a")),
        ("e.com/12/a1", Some("12?h=a1")),
        ("e.com/12/a1?h=a1", Some("12?h=a1")),
        ("e.com/12/a1?h=a2", None),
        ("e.com/12?h=a&h=b", None),
        ("e.com/12?h=a&h=a", Some("12?h=a")),
        ("e.com/12?p=2&h=%41&x=1", Some("12?h=%41&p=2")),
        ("e.com/12/a1?p=2", Some("12?h=a1&p=2")),
        ("e.com/12?h&p=", None),
        ("e.com/12?%68=a&x=%68", Some("12?h=a")),
        ("e.com/12?%68=a&h=b", None),
    ] {
        assert_is(rest, expected);
    }
}

#[test]
fn an_id_has_the_form_of_its_platform() {
    let all = "0aZ_-";
    for (of, fitting) in [
        (Characters::Digits, "0"),
        (Characters::Base36, "0a"),
        (Characters::Alphanumeric, "0aZ"),
        (Characters::Base64, all),
    ] {
        let form = Form { of, length: (1, 9), except: "", names_post: true };
        assert!(form.fits(fitting), "{of:?}");
        for c in all.chars().filter(|c| !fitting.contains(*c)) {
            assert!(!form.fits(&format!("0{c}")), "{of:?} {c}");
        }
        assert!(!form.fits("é") && !form.fits("a.b") && !form.fits(""));
    }
}

#[test]
fn what_follows_an_id_is_refused() {
    for (rest, found) in [
        ("e.com/12,", ','),
        ("e.com/12).", ')'),
        ("e.com/12!?a", '!'),
        ("e.com/12%22", '"'),
        ("e.com/12%00", '\0'),
        ("e.com/12,Title", ','),
        ("e.com/12&t=30", '&'),
        ("e.com/12é", 'é'),
        ("e.com/watch?v=12*", '*'),
        ("e.com/watch?v=12+", ' '),
        ("e.com/watch?v=12?a", '?'),
        ("e.com/12.", '.'),
        ("e.com/12.5", '.'),
        ("e.com/p/12/embed!", '!'),
        ("e.com/p/12/embed%2C", ','),
        ("e.com/p/12/embed%22/?a", '"'),
        ("e.com/p/12/embed,Title", ','),
        ("e.com/12/a1!", '!'),
        ("e.com/12/a1%22", '"'),
        ("e.com/12/!", '!'),
        ("e.com/v/12.html!", '!'),
        ("e.com/posts/\u{e9}.e-post-12-abCD!", '!'),
    ] {
        assert_eq!(read("e.com", rest), Err(InvalidUrl::AfterId(found)), "{rest}");
    }
    for rest in ["e.com/1,", "e.com/about!", "e.com/12-", "e.com/12_", "e.com/99.", "e.com/1.2"] {
        assert_is(rest, None);
    }
}
