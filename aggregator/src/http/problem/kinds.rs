//! The kinds of errors. A code is a promise: it is never given another meaning.

use super::Kind;

macro_rules! kinds {
    ($($name:ident = $status:literal $code:literal, $title:literal, $page:literal;)*) => {
        $(
            #[doc = $title]
            pub(crate) static $name: Kind =
                Kind { code: $code, status: $status, title: $title, page: $page };
        )*

        /// All of them.
        pub(crate) static ALL: &[&Kind] = &[$(&$name),*];
    };
}

kinds! {
    INVALID_PARAMETER = 400 "invalid-parameter", "A parameter cannot be read",
        "The value of a query or path parameter is not of the form that the route takes. The member \
         'errors' names the parameter. Correct the value; repeating the request as it is will not help.";
    UNKNOWN_PARAMETER = 400 "unknown-parameter", "There is no such parameter",
        "The route does not know a query parameter. A parameter that was ignored would silently widen \
         the answer, so it is refused. The member 'hint' names the parameter that may have been meant.";
    INVALID_CURSOR = 400 "invalid-cursor", "The cursor cannot be read",
        "A cursor is what an earlier answer gave as page.next, unchanged. Begin again without one.";
    CURSOR_MISMATCH = 400 "cursor-mismatch", "The cursor belongs to another list",
        "A cursor goes on with the list that it came from. The route or its filters have changed since. \
         Repeat the filters of the first page, or begin again without a cursor.";
    INVALID_BODY = 400 "invalid-body", "The body cannot be read",
        "The body is not the JSON object that the route takes. The member 'detail' says where and why; \
         the schema is in /openapi.json.";
    UNAUTHORIZED = 401 "unauthorized", "Who asks is not known",
        "Without credentials only requests from the node's own host are served. Send the admin token \
         that 'cluster init' printed as 'Authorization: Bearer TOKEN'. Behind a proxy on the same host \
         credentials are needed too.";
    NOT_FOUND = 404 "not-found", "It does not exist",
        "There is no such thing under this id, or no such route. If it was made a moment ago on another \
         node, ask with consistency=leader.";
    DIGEST_NOT_KEPT = 404 "digest-not-kept", "The digest at this index is not known here",
        "A node keeps the digests of its latest 1,024 log indices. The index is older, or this node has \
         not applied it yet. Ask without digest_at which index it has, and compare at that one.";
    METHOD_NOT_ALLOWED = 405 "method-not-allowed", "The route does not take this method",
        "The header Allow lists the methods that it takes.";
    REFUSED = 409 "refused", "The state does not allow it",
        "The cluster understood the command and refused it. The member 'detail' says what is in the way.";
    ALREADY_INITIALISED = 409 "already-initialised", "The cluster exists already",
        "'cluster init' founds a cluster once. A node that belongs to one keeps to it; the admin token \
         was shown when it was founded and is kept nowhere. Where it was never shown, since an init ended \
         without an answer, ask for the same again on the node that was asked then: as long as that one \
         has not been restarted, it shows the token. Else only the nodes' own hosts have access, which \
         need no token; for a new one, empty the volumes of all nodes and found the cluster again.";
    CHANGE_UNDER_WAY = 409 "change-under-way", "Another change of the members is under way",
        "The members are changed one at a time. Repeat it when the other change is done: \
         'wardmesh cluster members' shows how all stand.";
    ALREADY_MEMBER = 409 "already-member", "The node is a member already",
        "The node at this address belongs to the cluster, under the address that it advertises.";
    MEMBER_NOT_EMPTY = 409 "member-not-empty", "The node is not empty",
        "Only a node without a log can be taken in: what another cluster agreed on has no place in \
         this one. Stop the node, empty its volume, give it an id that no node of this cluster ever \
         had, and repeat.";
    MEMBER_WIPED = 409 "member-wiped", "The member has lost its volume",
        "The node is a member, but its volume is empty. It may have voted and does not know for whom, \
         so it takes neither log nor votes under this id. Start the volume under a new node id, with a \
         certificate of its own, and replace the member by it: 'wardmesh cluster replace ID --with \
         ADDRESS'.";
    NODE_ID_RETIRED = 409 "node-id-retired", "The node's id was used before",
        "A node that was removed from the cluster stays out, and no other may have its id: what either \
         promised could not be told apart. Give the node a new id and a certificate for it, empty its \
         volume, and repeat.";
    QUORUM_AT_RISK = 409 "quorum-at-risk", "The members that remain could not agree",
        "After the change fewer than a majority of the voters would be there, as far as the leader has \
         heard in the last seconds. Bring those back, or remove those that are lost for good, one at a \
         time. With force=true it is done all the same; where the leader is right, the cluster then \
         stands still until enough of them are back.";
    STALE = 412 "stale", "It was changed in the meantime",
        "The revision that the header If-Match names is not the one it has now, so nothing was changed. \
         The member 'revision' is the current one. Read it again, decide again, and repeat the request \
         with the ETag of that answer.";
    PRECONDITION_REQUIRED = 428 "precondition-required", "Say which revision you change",
        "Without the header If-Match two people could undo each other's change unseen. Send the ETag of \
         the answer that you read, or * to change whatever is there (RFC 9110 section 13.1.1).";
    BODY_TOO_LARGE = 413 "body-too-large", "The body is too large",
        "The member 'errors' names the limit in bytes.";
    UNSUPPORTED_MEDIA_TYPE = 415 "unsupported-media-type", "The body is of another type",
        "The route takes application/json.";
    INTERNAL = 500 "internal", "The node failed on this request",
        "This is a fault of the node. Its log has the cause under the request_id; please report it.";
    NO_LEADER = 503 "no-leader", "The cluster has no leader right now",
        "A majority of the nodes must reach each other. Until then reads with consistency=local answer \
         with the last known state, whose age the header Wardmesh-Last-Contact-Ms gives; sensors keep \
         what they see, and nothing that was acknowledged is lost.";
    NOT_INITIALISED = 503 "not-initialised", "There is no cluster yet",
        "The nodes run but no cluster was founded. Do so once, on one node: 'wardmesh cluster init', \
         or POST /api/v1/cluster/init from its host.";
    FOUNDING_UNKNOWN = 503 "founding-unknown", "Whether the cluster was founded is not known",
        "The members are written down, but no answer to the cluster's first command came in time: it may \
         take effect or not. Ask the same node for the same again, before it is restarted. It proposes the \
         same once more, and shows the admin token when it is certain that it holds.";
    TOO_STALE = 503 "too-stale", "The answer would be older than you allow",
        "The leader was last heard longer ago than max_staleness. Ask another node, or allow more.";
    TIMED_OUT = 503 "timed-out", "It took too long",
        "The node could not answer in time. A write may still take effect: look before repeating it.";
    MEMBER_UNREACHABLE = 503 "member-unreachable", "The node does not answer",
        "The leader could not reach a node at its Raft address, or somebody else answers there. The \
         node must run, with a certificate of this cluster, and the address that it advertises \
         (raft.advertise) must lead to it from all other nodes.";
    OVERLOADED = 503 "overloaded", "The node has too much to do",
        "So many requests are being served that this one was turned away at once. Repeat it after the \
         time in Retry-After.";
    DISK_FULL = 507 "disk-full", "The cluster's volumes are full",
        "The volume of the leader has no room and no other node could take over, or so many volumes are \
         full that there is no majority. Nothing was changed and nothing is lost: sensors keep what they \
         see, reads go on. Free space or enlarge the volumes that the finding 'node-disk-full' and the \
         nodes' readiness name; no restart is needed. Repeat after the time in Retry-After.";
    UNAVAILABLE = 503 "unavailable", "It cannot be read now",
        "The data is there but cannot be read at this moment, for instance while an index is rebuilt. \
         Repeat after the time in Retry-After, or ask another node.";
}
