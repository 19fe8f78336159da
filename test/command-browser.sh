#!/usr/bin/env bash
# securepair serve --www in headless Chromium, which trusts an authority that securepair made, and so
# opens the site without a word; and which refuses it otherwise.
# shellcheck disable=SC2119
set -euo pipefail

source=${SP_SOURCE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
# shellcheck source=test/scripts/serve.sh
. "$source/test/scripts/serve.sh"
need certutil openssl
for browser in chromium chromium-browser google-chrome ""; do
  command -v "$browser" >/dev/null && break
done
[ -n "$browser" ] || need chromium

# An authority, and a certificate of it.
securepair authority init --subject "CN=browser test root" >/dev/null
securepair key --out key.pem
securepair request --key key.pem --name localhost --out csr.pem
securepair authority sign csr.pem --out cert.pem >/dev/null

mkdir -p 'site/a folder' site/empty
printf 'in a folder' >'site/a folder/file.txt'
printf x >'site/<b>bold & "quoted".txt'
cat >site/page.html <<'HTML'
<!doctype html>
<meta charset="utf-8">
<title>a page</title>
<link rel="stylesheet" href="page.css">
<p id="said">nothing</p>
<script type="module" src="page.js"></script>
HTML
printf 'p { color: rgb(1, 2, 3) }' >site/page.css
cat >site/page.js <<'JS'
const said = document.getElementById('said');
const answer = await fetch('a%20folder/file.txt', { headers: { range: 'bytes=5-' } });
said.textContent = [answer.status, await answer.text(), getComputedStyle(said).color].join(' | ');
JS
serve --cert cert.pem --key key.pem --www site

# browse HOME URL: what the page looks like when its scripts have run, in `out`.
browse() {
  mkdir -p "$1"
  HOME=$work/$1 timeout 90 "$browser" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
    --disable-background-networking --disable-component-update --disable-sync --disable-dev-shm-usage \
    --user-data-dir="$work/$1/profile" --virtual-time-budget=20000 --dump-dom "$2" >out 2>err || true
}
shows() { grep -qF -- "$1" out || { fail "the browser does not show \"$1\""; head -c 2000 out >&2; tail -5 err >&2; }; }

mkdir -p trusting/.pki/nssdb
certutil -N -d sql:trusting/.pki/nssdb --empty-password
certutil -A -d sql:trusting/.pki/nssdb -t C,, -n root -i authority/root.pem

browse trusting "https://localhost:$port/page.html"
shows "206 | folder | rgb(1, 2, 3)"
browse trusting "https://localhost:$port/"
shows "<title>Index of /</title>"
shows '<a href="a%20folder/"><bdi>a folder</bdi>/</a>'
shows '<bdi>&lt;b&gt;bold &amp; "quoted".txt</bdi>'
! grep -q "Content Security Policy" err || fail "the index page breaks its own policy"

before=$(grep -c ' request: ' log)
browse doubting "https://localhost:$port/page.html"
! grep -q '<p id="said"' out || fail "the browser shows the page of an authority that it does not know"
[ "$(grep -c ' request: ' log)" -eq "$before" ] || fail "the browser asked for the page all the same"
wait_for " failed:"
stop
finish
