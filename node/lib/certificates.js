'use strict';
// Certificates as Node's programs know them: from DER to "legacy" objects and X509Certificates.

const { X509Certificate } = require('node:crypto');

/** infoAccess as lists by name: { 'OCSP - URI': [...] }. A quoted value is a JSON string. */
function infoAccess(text) {
  const info = Object.create(null);
  for (const line of text.split('\n')) {
    const at = line.indexOf(':');
    if (at < 0) continue;
    const value = line.slice(at + 1);
    const name = line.slice(0, at);
    (info[name] ||= []).push(value.startsWith('"') ? JSON.parse(value) : value);
  }
  return info;
}

function legacyOf(x509) {
  const legacy = x509.toLegacyObject();
  if (typeof legacy.infoAccess === 'string') legacy.infoAccess = infoAccess(legacy.infoAccess);
  return legacy;
}

/** The legacy object of one certificate in DER. */
function legacy(der) {
  return legacyOf(new X509Certificate(der));
}

/**
 * Links a chain, leaf first, by `issuerCertificate`. What issued itself is its own issuer. Ends
 * where a certificate is not followed by its issuer.
 */
function link(x509s, objects, set) {
  x509s.forEach((x509, index) => {
    const next = x509s[index + 1];
    if (x509.checkIssued(x509)) set(objects[index], objects[index]);
    else if (next && x509.checkIssued(next)) set(objects[index], objects[index + 1]);
  });
  return objects[0];
}

/** getPeerCertificate(true): the leaf, with all above it. */
function legacyChain(ders) {
  const x509s = ders.map((der) => new X509Certificate(der));
  return link(x509s, x509s.map(legacyOf), (object, issuer) => {
    object.issuerCertificate = issuer;
  });
}

/** The leaf as X509Certificate, its `issuerCertificate` set as far as the chain goes. */
function x509Chain(ders) {
  const x509s = ders.map((der) => new X509Certificate(der));
  return link(x509s, x509s, (object, issuer) => {
    if (object !== issuer) Object.defineProperty(object, 'issuerCertificate', { value: issuer });
  });
}

module.exports = { legacy, legacyChain, x509Chain };
