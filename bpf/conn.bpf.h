/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A connection's record: where it stands in the request it receives and in the answer it sends.
 *
 * Made when the socket is enrolled, removed when it closes. Between, the verdict and the message
 * program change it, both under the socket's lock, so that no field needs an atomic operation.
 */
#ifndef SLUICE_CONN_BPF_H
#define SLUICE_CONN_BPF_H

#include "abi.h"
#include "decide.h"
#include "response.h"

/* What the next bytes from the client are. */
enum ingress {
	INGRESS_HEAD,	 /* a request head */
	INGRESS_BODY,	 /* the rest of an admitted request's body: passed */
	INGRESS_DISCARD, /* the rest of a refused request's body: eaten */
	INGRESS_CLOSED,	 /* nothing that may be passed any more */
};

/* How far an answer that ends the connection is. */
enum closing {
	CLOSING_NOT,
	CLOSING_DUE, /* it goes out in the place of the next buffer, or behind the answer that is due */
	CLOSING_SENT, /* it is out: whatever else is written is refused, so that the socket gets closed */
};

/* An answer of the gate's own. */
struct owed {
	__u16 reply;	    /* index into `replies` */
	__u16 head_only;    /* the request's method was HEAD */
	__u32 reset_minute; /* since the epoch, where the answer names a time */
};

struct conn {
	struct gate gate; /* as it was when the connection was made */

	/* From the client. */
	__u64 ingress_left; /* bytes of body still to come, in INGRESS_BODY and INGRESS_DISCARD */
	__u8 ingress;	    /* enum ingress */

	/* To the client. */
	__u8 answer_due; /* the application owes an answer to an admitted request */
	__u8 written;	 /* egress_seq is valid */
	__u8 closing;	 /* enum closing */
	__u8 answering;	 /* a refused buffer is on its way out, `owed` takes its place */
	__u8 held;	 /* times the client's FIN was kept back meanwhile */
	__u8 reserved[2];
	struct owed owed; /* to be sent now, behind a refused body, or to end the connection */
	__u32 egress_seq; /* TCP sequence number up to which answers were looked at */
	__u32 remaining;  /* for the headers of the answer that is due */
	__u64 reset_ms;	  /* likewise, milliseconds since the epoch */

	struct http_head head;
	struct grant grant; /* of the request last judged */
	struct response response;
};

/* Value of `marks`. */
struct socket_mark {
	__u64 cookie; /* key of the record, where enrolled */
	__u32 state;  /* enum mark */
	__u32 reserved;
};

enum mark {
	MARK_ENROLLED = 1,
	MARK_NOT_OURS, /* an outgoing connection, whatever its local port */
};

#endif
