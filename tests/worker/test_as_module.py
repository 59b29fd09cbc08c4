"""Scripts as modules of their package. See also sweep/test_own_package.py."""

from simferry.worker.as_module import place_of_own


def test_a_script_s_folder_comes_before_what_is_installed():
    assert place_of_own(["/usr/lib/python3.11", "/usr/lib/python3/dist-packages"]) == 1
    assert place_of_own(["/a/site-packages"]) == 0 and place_of_own(["/a", "/b"]) == 2
