'use strict';
// tls.checkServerIdentity for legacy certificate objects. Connections are checked in C, by the
// same rules; this is for programs that call it, and for the words of the error.

const net = require('node:net');
const { altnameInvalid, coded } = require('./errors');

const QUOTED = /^"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/;

/** Splits 'DNS:a, IP Address:b'; a quoted part is JSON and may hold separators. */
function splitAltNames(text) {
  const names = [''];
  let rest = text;
  while (rest !== '') {
    if (rest.startsWith('"')) {
      const quoted = QUOTED.exec(rest);
      if (!quoted) throw coded('ERR_TLS_CERT_ALTNAME_FORMAT', undefined, SyntaxError);
      names[names.length - 1] += JSON.parse(quoted[0]);
      rest = rest.slice(quoted[0].length);
    } else if (rest.startsWith(', ')) {
      names.push('');
      rest = rest.slice(2);
    } else {
      names[names.length - 1] += rest[0];
      rest = rest.slice(1);
    }
  }
  return names;
}

const lower = (text) => text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
const labels = (host) => lower(host.replace(/\.$/, '')).split('.');

function canonicalIP(text) {
  if (net.isIPv4(text)) return text;
  if (!net.isIPv6(text)) return undefined;
  try {
    return new URL(`http://[${text}]/`).hostname;
  } catch {
    return undefined;
  }
}

function firstLabelMatches(host, pattern, parts) {
  const stars = pattern.split('*');
  if (stars.length === 1 || pattern.includes('xn--')) return host === pattern;
  // Only a whole label is a wildcard, and at least two more follow it.
  return pattern === '*' && parts > 2 && host !== '';
}

function matches(hostParts, pattern) {
  if (!pattern) return false;
  const parts = labels(pattern);
  if (parts.length !== hostParts.length || parts.includes('')) return false;
  if (/[^\u0021-\u007f]/.test(pattern)) return false;
  for (let at = 1; at < parts.length; at++)
    if (parts[at] !== hostParts[at]) return false;
  return firstLabelMatches(hostParts[0], parts[0], parts.length);
}

function altNamesOf(cert) {
  const names = cert.subjectaltname ? splitAltNames(cert.subjectaltname) : [];
  const after = (prefix) => names.filter((name) => name.startsWith(prefix))
    .map((name) => name.slice(prefix.length));
  return { dns: after('DNS:'), ips: after('IP Address:').map(canonicalIP) };
}

function reasonAgainst(host, cert) {
  const { dns, ips } = altNamesOf(cert);
  if (net.isIP(host)) {
    if (ips.includes(canonicalIP(host))) return undefined;
    return `IP: ${host} is not in the cert's list: ${ips.join(', ')}`;
  }
  const parts = labels(host);
  if (dns.length > 0) {
    if (dns.some((name) => matches(parts, name))) return undefined;
    return `Host: ${host}. is not in the cert's altnames: ${cert.subjectaltname}`;
  }
  const cn = cert.subject?.CN;
  if (!cn) return 'Cert does not contain a DNS name';
  if ([].concat(cn).some((name) => matches(parts, name))) return undefined;
  return `Host: ${host}. is not cert's CN: ${cn}`;
}

/** undefined, or the error: ERR_TLS_CERT_ALTNAME_INVALID with reason, host and cert. */
function checkServerIdentity(hostname, cert) {
  const host = `${hostname}`.replace(/\.$/, '');
  const reason = reasonAgainst(host, cert);
  return reason === undefined ? undefined : altnameInvalid(reason, host, cert);
}

module.exports = { checkServerIdentity };
