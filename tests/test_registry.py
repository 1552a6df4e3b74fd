from monitor.registry import Registry


def test_a_series_has_the_unit_of_its_metric_or_of_its_pattern() -> None:
    registry = Registry()
    assert registry.problems == []
    assert registry.unit("nginx", "req_handled") == "requests/s"
    assert registry.unit("network", "eth0.rx_byte") == "bytes/s"
    assert registry.unit("cpu", "cpu11.user") == "jiffies/s"
    assert registry.unit("nginx", "nothing") == ""
    assert registry.unit("nobody", "nothing") == ""
