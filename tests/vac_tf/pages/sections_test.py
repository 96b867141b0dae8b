"""Pages of sections: every part is shown, escaped, or its reason."""

from vac_tf.pages.sections import Section, Table, render_page


def test_the_page_escapes_names_and_says_what_is_left_out():
    table = Table("a <caption>", ["name", "n"], [["cat & <dog>", "1"]])
    sections = [
        Section("One", "why?", ["a < b"], [table], {'figures/a"b.png': "a figure"}),
        Section("Two", "why?", left_out="there is no <model>."),
    ]
    page = render_page("Title", ["first & last"], sections)
    for text in ("cat &amp; &lt;dog&gt;", "a &lt; b", "Left out: there is no &lt;model&gt;."):
        assert text in page
    assert 'src="figures/a&#34;b.png"' in page and "first &amp; last" in page
    assert "<dog>" not in page and "<model>" not in page
