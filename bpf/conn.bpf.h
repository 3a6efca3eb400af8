/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A connection's record: where it stands in the request it receives and in the answer it sends.
 *
 * Made when the socket is enrolled, removed when it closes (record.bpf.h). Between, three programs change
 * it: the verdict and the message program under the socket's lock, and the injector's without. What keeps
 * them apart is who has the turn:
 *
 * - What comes from the client is the verdict program's, or the injector's while `handed` says that
 *   bytes are with the relay. All that the verdict program does then is to hand up more.
 * - What goes to the client is the message program's while an answer is due or under way
 *   (answer_due, answering). Only where none is, a request is judged, and the next answer's begin set.
 *   An ANSWERING_RELAY is that of the relay's programs, which make it ANSWERING_SENT or ANSWERING_BACK
 *   without the lock.
 * - `closing` only ever grows.
 *
 * Besides, the guard keeps `held` and `gap` for itself, and where an application asks to read what was not
 * judged, its connection is closed (options.bpf.c): under the lock, too.
 */
#ifndef SLUICE_CONN_BPF_H
#define SLUICE_CONN_BPF_H

#include "abi.h"
#include "chunk.h"
#include "decide.h"
#include "response.h"

/* What the next bytes from the client are. */
enum ingress {
	INGRESS_HEAD,	/* a request head */
	INGRESS_BODY,	/* the rest of a request's body: eaten where it was refused, else passed */
	INGRESS_CLOSED, /* nothing that may be passed any more */
};

/* How far the end of the connection is. */
enum closing {
	CLOSING_NOT,
	CLOSING_DUE,  /* with the answer that is owed */
	CLOSING_SENT, /* whatever else is written is refused, so that the socket gets closed */
};

/*
 * Where the gate's own answer is. One of the relay's is under way for as long as `egress_seq` is ahead of
 * the socket.
 */
enum answering {
	ANSWERING_NOT,
	ANSWERING_BUFFER, /* a refused buffer is on its way out, `owed` takes its place */
	ANSWERING_RELAY,  /* the relay is to send `owed` */
	ANSWERING_SENT,	  /* it has done so */
	ANSWERING_BACK,	  /* it could not: as ANSWERING_BUFFER */
};

/* `handed`: bytes are with the relay, and how many there were in all, in its lower half. */
#define HANDED_UP (1ULL << 63)

/* Milliseconds without a byte after which a client has read its last answer, RFC 9112 9.6. */
#define LINGER_MS 100

/* Likewise, after which a refused request's body is taken for one that never comes. */
#define DISCARD_QUIET_MS 10000

/* What is left of a request's body. */
struct body {
	__u64 left; /* bytes; in chunks of a refused request, those that may still come */
	struct chunk chunk;
	__u32 chunked;
	__u32 refused;
};

struct conn {
	struct gate gate; /* as it was when the connection was made */

	/* From the client. */
	__u64 handed; /* see HANDED_UP */
	__u32 judged; /* of those that were handed up */
	__u32 turns;  /* requests admitted or refused so far */
	__u32 eaten;  /* bytes of which none was passed */
	__u32 begun;  /* `handed`, when what the relay had was the begin of a head */
	__u8 ingress; /* enum ingress */
	__u8 held;    /* times the client's FIN was kept back */
	__u8 gap;     /* so were bytes of it */
	__u8 reserved_byte;
	__u32 next_seq; /* TCP sequence number of the next byte to be judged */
	struct body body;

	/* To the client. */
	__u8 answer_due; /* the application owes an answer to an admitted request */
	__u8 written;	 /* egress_seq is valid */
	__u8 closing;	 /* enum closing */
	__u8 answering;	 /* enum answering */
	__u8 linger;	 /* an answer that ends the connection leaves the client time to read it */
	__u8 switched;	 /* the application has answered 101: not HTTP any more, RFC 9110 7.8 */
	__u8 closed;	 /* the socket is closed (record.bpf.h) */
	__u8 reserved;
	struct owed owed; /* to be sent now, or to end the connection */
	__u32 egress_seq; /* TCP sequence number up to which answers were looked at */
	__u32 remaining;  /* for the headers of the answer that is due */
	__u64 reset_ms;	  /* likewise, milliseconds since the epoch */

	struct http_head head;
	struct grant grant; /* of the request last judged */
	struct response response;
};

#endif
