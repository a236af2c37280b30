//! Where we and a peer's expected output differ, and why. A difference that is not here fails the
//! test; one that is here and has gone fails it too.

use super::claim::Said;

/// Values over which we and a peer differ for one reason, whoever said them.
#[derive(Debug)]
pub(super) struct Disagreement {
    /// The capture, with the peer's folder.
    pub(super) file: &'static str,
    /// What it is.
    pub(super) key: &'static str,
    /// What one of us reports and the other does not.
    pub(super) value: &'static str,
    /// Why.
    pub(super) reason: &'static str,
}

impl Disagreement {
    /// Whether this is the one.
    pub(super) fn is_of(&self, file: &str, said: &Said) -> bool {
        self.file == file && self.key == said.key && self.value == said.value
    }
}

const fn differs(
    file: &'static str,
    key: &'static str,
    value: &'static str,
    reason: &'static str,
) -> Disagreement {
    Disagreement { file, key, value, reason }
}

const IP_IN_IP: &str = "inside an IPv4-in-IPv6 tunnel, which is not unwrapped";
const VXLAN: &str = "inside a VXLAN tunnel, which is not unwrapped";
const CAPWAP: &str = "inside a CAPWAP tunnel, which is not unwrapped";
const ALPN: &str = "peers disagree: JA4 ends in the first and last character of the ALPN value by \
                    FoxIO's text and programs; nDPI writes another last one";
const ESNI: &str = "peers disagree: the hello has encrypted_server_name and no server_name; by \
                    FoxIO's text and programs that is i, nDPI writes d";
const SECOND_HELLO: &str = "peers disagree: the second hello after a HelloRetryRequest is in the \
                            output of FoxIO's Python program and not of its Rust program";
const NUL: &str =
    "Suricata keeps the NUL that ends the option's text, we do not (RFC 2132 section 2)";

const SHIFTED: &str = "malformed for tshark too, which goes by the port: the fields are shifted and the \
                       cookie is not where RFC 2131 section 3 puts it";
const GARBAGE: &str = "no BOOTP message by its type and without a cookie; tshark goes by the port";
const NO_CHASSIS: &str = "breaks IEEE 802.1AB (no chassis id): counted as \
                          malformed.lldp.chassis_id_missing, not read";

const TLS4: &str = "ndpi/4in6tunnel.pcap";
const ANDROID: &str = "ndpi/android.pcap";
const WLAN: &str = "ndpi/capwap.pcap";
const IPHONE: &str = "ndpi/iphone.pcap";
const NO_SNI: &str = "ndpi/no_sni.pcap";
const NAME_MISMATCH: &str = "ndpi/ssl-cert-name-mismatch.pcap";
const FUZZED: &str = "ndpi/tls-esni-fuzzed.pcap";
const OVERLAY: &str = "ndpi/vxlan.pcap";

/// All that are known.
pub(super) const DISAGREEMENTS: &[Disagreement] = &[
    differs(TLS4, "protocol", "tls", IP_IN_IP),
    differs(TLS4, "tls.sni", "www.bing.com", IP_IN_IP),
    differs(TLS4, "tls.ja4", "t12d1909h2_d83cc789557e_652f19f1cfc7", IP_IN_IP),
    differs(OVERLAY, "protocol", "tls", VXLAN),
    differs(OVERLAY, "tls.sni", "facebook.com", VXLAN),
    differs(OVERLAY, "tls.sni", "www.facebook.com", VXLAN),
    differs(OVERLAY, "tls.ja4", "t13d311000_e8f1e7e78f70_5ac7197df9d2", VXLAN),
    differs(WLAN, "protocol", "dhcp", CAPWAP),
    differs(WLAN, "dhcp.hostname", "kawai-ipad3", CAPWAP),
    differs(WLAN, "dhcp.parameter_list", "1,3,6,15,119,252", CAPWAP),
    differs(ANDROID, "tls.ja4", "t12d1409ht_c866b44c5a26_b39be8c56a14", ALPN),
    differs(ANDROID, "tls.ja4", "t12d1409h1_c866b44c5a26_b39be8c56a14", ALPN),
    differs(ANDROID, "tls.ja4", "t13d1712h0_5b57614c22b0_3f5d972527c0", ALPN),
    differs(ANDROID, "tls.ja4", "t13d1712h2_5b57614c22b0_3f5d972527c0", ALPN),
    differs(IPHONE, "tls.ja4", "t13d2613ht_2802a3db6c62_845d286b0d67", ALPN),
    differs(IPHONE, "tls.ja4", "t13d2613h1_2802a3db6c62_845d286b0d67", ALPN),
    differs(NAME_MISMATCH, "tls.ja4", "t12d3810ht_845d1e55a368_7448b1316cd7", ALPN),
    differs(NAME_MISMATCH, "tls.ja4", "t12d3810h1_845d1e55a368_7448b1316cd7", ALPN),
    differs(NO_SNI, "tls.ja4", "t13d1813h2_e8a523a41297_a36e8500eb55", ESNI),
    differs(NO_SNI, "tls.ja4", "t13i1813h2_e8a523a41297_a36e8500eb55", ESNI),
    differs(NO_SNI, "tls.ja4", "t13d1813h2_e8a523a41297_0d6ff543c596", ESNI),
    differs(NO_SNI, "tls.ja4", "t13i1813h2_e8a523a41297_0d6ff543c596", ESNI),
    differs(FUZZED, "tls.ja4", "t13d1813h2_29a2cd9e9f10_0d6ff543c596", ESNI),
    differs(FUZZED, "tls.ja4", "t13i1813h2_29a2cd9e9f10_0d6ff543c596", ESNI),
    differs(
        "ja4/tls-handshake.pcapng",
        "tls.ja4",
        "t13d1515h2_8daaf6152771_f37e75b10bcc",
        SECOND_HELLO,
    ),
    differs("ja4/tls-handshake.pcapng", "tls.sni", "mem.gfx.ms", SECOND_HELLO),
    differs("ja4/tls-handshake.pcapng", "tls.sni", "js.monitor.azure.com", SECOND_HELLO),
    differs("ja4/tls-handshake.pcapng", "tls.sni", "logincdn.msauth.net", SECOND_HELLO),
    differs(WLAN, "dhcp.frames", "read", CAPWAP),
    differs("malcolm/DHCP.pcap", "dhcp.frames", "read", SHIFTED),
    differs("tcpdump/bootp_asan.pcap", "dhcp.frames", "read", GARBAGE),
    differs("tcpdump/lldp_8021_linkagg.pcap", "lldp.frames", "read", NO_CHASSIS),
    differs("suricata-verify/dhcp-eve-extended__input.pcap", "dhcp.hostname", "nas1\0", NUL),
];
