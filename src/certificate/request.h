/* The inside of a certificate request. */
#ifndef SP_CERTIFICATE_REQUEST_H
#define SP_CERTIFICATE_REQUEST_H

#include <stdatomic.h>

#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "certificate/key.h"
#include "certificate/view.h"

struct sp_request {
  atomic_uint references;
  X509_REQ *x509_req;
  GENERAL_NAMES *names;  /* that it asks for; NULL: none */
  sp_certificate_t view; /* memory for the texts, and some of them; no certificate */
  char fingerprint[SP__FINGERPRINT_SIZE];
  char *pem;
};

#endif
