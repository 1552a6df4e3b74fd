"""The numbers of Sora's documents, by metricset and what they stand below: made by tests/sora_fields.py."""

from __future__ import annotations

from collections.abc import Mapping

COUNTERS: Mapping[str, str] = {
    "sora.stats": (
        "total_auth_webhook_allowed total_auth_webhook_denied total_connection_created total_connection_destroyed "
        "total_connection_updated total_decrypted_srtp total_decrypted_srtp_byte_size total_duration_sec "
        "total_failed_auth_webhook total_failed_connections total_failed_event_webhook "
        "total_failed_session_webhook total_failed_stats_webhook total_ignored_event_webhook "
        "total_ignored_session_webhook total_ignored_stats_webhook total_received_invalid_turn_tcp_packet "
        "total_received_sctp total_received_sctp_byte_size total_received_srtp total_received_srtp_byte_size "
        "total_sent_sctp total_sent_sctp_byte_size total_sent_srtp total_sent_srtp_byte_size "
        "total_sent_srtp_sfu_delay_us total_session_created total_session_destroyed total_successful_auth_webhook "
        "total_successful_connections total_successful_event_webhook total_successful_session_webhook "
        "total_successful_stats_webhook total_turn_tcp_connections total_turn_udp_connections"
    ),
    "sora.stats.browser.total_failed_browser_type": "chrome edge firefox safari unknown",
    "sora.stats.browser.total_successful_browser_type": "chrome edge firefox safari unknown",
    "sora.stats.cluster": "raft_commit_index",
    "sora.stats.erlang_vm.statistics": "context_switches",
    "sora.stats.erlang_vm.statistics.exact_reductions": "total_exact_reductions",
    "sora.stats.erlang_vm.statistics.garbage_collection": "number_of_gcs words_reclaimed",
    "sora.stats.erlang_vm.statistics.io": "input output",
    "sora.stats.erlang_vm.statistics.reductions": "total_reductions",
    "sora.stats.erlang_vm.statistics.runtime": "total_run_time",
    "sora.stats.erlang_vm.statistics.wall_clock": "total_wallclock_time",
    "sora.stats.error": "sdp_generation_error signaling_error",
    "sora.stats.sora_client.total_failed_sora_client_type": (
        "obs_studio_whep obs_studio_whip sora_android_sdk sora_c_sdk sora_cpp_sdk sora_flutter_sdk sora_ios_sdk "
        "sora_js_sdk sora_python_sdk sora_unity_sdk unknown webrtc_load_testing_tool_zakuro "
        "webrtc_native_client_momo"
    ),
    "sora.stats.sora_client.total_successful_sora_client_type": (
        "obs_studio_whep obs_studio_whip sora_android_sdk sora_c_sdk sora_cpp_sdk sora_flutter_sdk sora_ios_sdk "
        "sora_js_sdk sora_python_sdk sora_unity_sdk unknown webrtc_load_testing_tool_zakuro "
        "webrtc_native_client_momo"
    ),
    "sora.connections.dtls": "total_received_dtls total_sent_dtls",
    "sora.connections.ice_connection_state": "total_checking_req total_connected_ack total_connected_req",
    "sora.connections.network_status": (
        "total_unstable_level0 total_unstable_level1 total_unstable_level2 total_unstable_level3"
    ),
    "sora.connections.rtcp": (
        "total_generic_nack_cache_hit total_generic_nack_cache_miss total_pli_trigger total_received_rtcp "
        "total_received_rtcp_bye total_received_rtcp_byte_size total_received_rtcp_psfb_afb "
        "total_received_rtcp_psfb_fir total_received_rtcp_psfb_pli total_received_rtcp_rr "
        "total_received_rtcp_rtpfb_generic_nack total_received_rtcp_rtpfb_tmmbn total_received_rtcp_rtpfb_tmmbr "
        "total_received_rtcp_rtpfb_transport_wide total_received_rtcp_sdes total_received_rtcp_sr "
        "total_received_rtcp_unknown total_received_rtcp_xr total_sent_rtcp total_sent_rtcp_bye "
        "total_sent_rtcp_byte_size total_sent_rtcp_psfb_afb total_sent_rtcp_psfb_fir total_sent_rtcp_psfb_pli "
        "total_sent_rtcp_rr total_sent_rtcp_rtpfb_generic_nack total_sent_rtcp_rtpfb_tmmbn "
        "total_sent_rtcp_rtpfb_tmmbr total_sent_rtcp_rtpfb_transport_wide total_sent_rtcp_sdes total_sent_rtcp_sr "
        "total_sent_rtcp_unknown total_sent_rtcp_xr"
    ),
    "sora.connections.rtp": (
        "total_received total_received_byte_size total_received_bytes total_received_packets total_received_rtcp "
        "total_received_rtcp_bye total_received_rtcp_byte_size total_received_rtcp_psfb_afb "
        "total_received_rtcp_psfb_fir total_received_rtcp_psfb_pli total_received_rtcp_rr "
        "total_received_rtcp_rtpfb_generic_nack total_received_rtcp_rtpfb_tmmbn total_received_rtcp_rtpfb_tmmbr "
        "total_received_rtcp_rtpfb_transport_wide total_received_rtcp_sdes total_received_rtcp_sr "
        "total_received_rtcp_unknown total_received_rtcp_xr total_received_rtp total_received_rtp_byte_size "
        "total_sent total_sent_byte_size total_sent_bytes total_sent_packets total_sent_rtcp total_sent_rtcp_bye "
        "total_sent_rtcp_byte_size total_sent_rtcp_psfb_afb total_sent_rtcp_psfb_fir total_sent_rtcp_psfb_pli "
        "total_sent_rtcp_rr total_sent_rtcp_rtpfb_generic_nack total_sent_rtcp_rtpfb_tmmbn "
        "total_sent_rtcp_rtpfb_tmmbr total_sent_rtcp_rtpfb_transport_wide total_sent_rtcp_sdes total_sent_rtcp_sr "
        "total_sent_rtcp_unknown total_sent_rtcp_xr total_sent_rtp total_sent_rtp_byte_size"
    ),
    "sora.connections.simulcast.r0.rtp": (
        "total_decrypt_skipped_srtp total_received_rtp total_received_rtp_byte_size total_received_rtp_padding "
        "total_received_rtp_padding_size total_received_rtp_red total_received_rtp_red_rtx "
        "total_received_rtp_red_ulpfec total_received_rtp_rtx"
    ),
    "sora.connections.simulcast.r0.rtp_hdrext": (
        "total_received_rtp_hdrext_abs_send_time total_received_rtp_hdrext_audio_level "
        "total_received_rtp_hdrext_av1_rtp_sepc total_received_rtp_hdrext_color_space "
        "total_received_rtp_hdrext_inband_cn total_received_rtp_hdrext_playout_delay "
        "total_received_rtp_hdrext_sdes_mid total_received_rtp_hdrext_sdes_repaired_rtp_stream_id "
        "total_received_rtp_hdrext_sdes_rtp_stream_id total_received_rtp_hdrext_toffset "
        "total_received_rtp_hdrext_transport_wide_cc total_received_rtp_hdrext_unknown "
        "total_received_rtp_hdrext_video_composition_time total_received_rtp_hdrext_video_content_type "
        "total_received_rtp_hdrext_video_orientation total_received_rtp_hdrext_video_timing"
    ),
    "sora.connections.simulcast.r1.rtp": (
        "total_decrypt_skipped_srtp total_received_rtp total_received_rtp_byte_size total_received_rtp_padding "
        "total_received_rtp_padding_size total_received_rtp_red total_received_rtp_red_rtx "
        "total_received_rtp_red_ulpfec total_received_rtp_rtx"
    ),
    "sora.connections.simulcast.r1.rtp_hdrext": (
        "total_received_rtp_hdrext_abs_send_time total_received_rtp_hdrext_audio_level "
        "total_received_rtp_hdrext_av1_rtp_sepc total_received_rtp_hdrext_color_space "
        "total_received_rtp_hdrext_inband_cn total_received_rtp_hdrext_playout_delay "
        "total_received_rtp_hdrext_sdes_mid total_received_rtp_hdrext_sdes_repaired_rtp_stream_id "
        "total_received_rtp_hdrext_sdes_rtp_stream_id total_received_rtp_hdrext_toffset "
        "total_received_rtp_hdrext_transport_wide_cc total_received_rtp_hdrext_unknown "
        "total_received_rtp_hdrext_video_composition_time total_received_rtp_hdrext_video_content_type "
        "total_received_rtp_hdrext_video_orientation total_received_rtp_hdrext_video_timing"
    ),
    "sora.connections.simulcast.r2.rtp": (
        "total_decrypt_skipped_srtp total_received_rtp total_received_rtp_byte_size total_received_rtp_padding "
        "total_received_rtp_padding_size total_received_rtp_red total_received_rtp_red_rtx "
        "total_received_rtp_red_ulpfec total_received_rtp_rtx"
    ),
    "sora.connections.simulcast.r2.rtp_hdrext": (
        "total_received_rtp_hdrext_abs_send_time total_received_rtp_hdrext_audio_level "
        "total_received_rtp_hdrext_av1_rtp_sepc total_received_rtp_hdrext_color_space "
        "total_received_rtp_hdrext_inband_cn total_received_rtp_hdrext_playout_delay "
        "total_received_rtp_hdrext_sdes_mid total_received_rtp_hdrext_sdes_repaired_rtp_stream_id "
        "total_received_rtp_hdrext_sdes_rtp_stream_id total_received_rtp_hdrext_toffset "
        "total_received_rtp_hdrext_transport_wide_cc total_received_rtp_hdrext_unknown "
        "total_received_rtp_hdrext_video_composition_time total_received_rtp_hdrext_video_content_type "
        "total_received_rtp_hdrext_video_orientation total_received_rtp_hdrext_video_timing"
    ),
    "sora.connections.simulcast_auto": "total_history_not_ready total_switched total_up_trend",
    "sora.connections.spotlight": (
        "total_spotlight_audible_to_focus_delay_us total_spotlight_focus_failed total_spotlight_focus_succeeded "
        "total_spotlight_unfocus_audio_no_room total_spotlight_unfocus_audio_out_packet "
        "total_spotlight_unfocus_audio_publish"
    ),
    "sora.connections.turn": (
        "total_received_allocate_request total_received_binding_request total_received_channel_bind_request "
        "total_received_channel_data total_received_create_permission_request total_received_refresh_request "
        "total_received_send_indication total_received_turn_binding_error total_received_turn_binding_request "
        "total_received_turn_binding_success total_sent_allocate_error total_sent_allocate_success "
        "total_sent_binding_error total_sent_binding_success total_sent_channel_bind_error "
        "total_sent_channel_bind_success total_sent_channel_data total_sent_create_permission_error "
        "total_sent_create_permission_success total_sent_data_indication total_sent_refresh_error "
        "total_sent_refresh_success total_sent_turn_binding_error total_sent_turn_binding_request "
        "total_sent_turn_binding_success"
    ),
}
"""What counts since a connection, or Sora, began."""
GAUGES: Mapping[str, str] = {
    "sora.stats": "average_duration_sec average_setup_time_msec total_ongoing_connections",
    "sora.stats.cluster": "raft_term",
    "sora.stats.erlang_vm.memory": "atom atom_used binary code ets processes processes_used system total",
    "sora.stats.erlang_vm.statistics": (
        "active_tasks_all_imbalance active_tasks_all_max active_tasks_all_mean active_tasks_all_min "
        "active_tasks_all_stddev active_tasks_imbalance active_tasks_max active_tasks_mean active_tasks_min "
        "active_tasks_stddev run_queue run_queue_lengths_all_imbalance run_queue_lengths_all_max "
        "run_queue_lengths_all_mean run_queue_lengths_all_min run_queue_lengths_all_stddev "
        "run_queue_lengths_imbalance run_queue_lengths_max run_queue_lengths_mean run_queue_lengths_min "
        "run_queue_lengths_stddev total_active_tasks total_active_tasks_all total_run_queue_lengths "
        "total_run_queue_lengths_all"
    ),
    "sora.stats.erlang_vm.statistics.exact_reductions": "exact_reductions_since_last_call",
    "sora.stats.erlang_vm.statistics.reductions": "reductions_since_last_call",
    "sora.stats.erlang_vm.statistics.runtime": "time_since_last_call",
    "sora.stats.erlang_vm.statistics.wall_clock": "wallclock_time_since_last_call",
    "sora.connections.network_status": "unstable_level",
    "sora.connections.simulcast_auto": "target_sender_count",
}
"""What is as it is."""
