"""What a server answers: the rows of score.py, whatever way the images come."""

import base64
import contextlib
import dataclasses
import io
import json

import numpy as np
import pytest
from PIL import Image

from export.scoring.config import ScoringConfig
from export.scoring.job import score
from export.serving.refusals import code_of
from tests.export.encoded_images import encode, good_images, huge_images, refused_images
from tests.export.onnx_models import LABELS, description, write_channel_mean_model
from tests.export.serving.small_server import multipart, running


@pytest.fixture(scope="module")
def client(model):
    with running(model, url_hosts="127.0.0.1", max_images=8) as client:
        yield client


def colour(*rgb, size=(9, 7)):
    return encode(Image.new("RGB", size, rgb), "PNG")


def b64(data):
    return base64.b64encode(data).decode()


def only_result(answer):
    ((code, _, body), key) = answer, "results"
    (result,) = body[key]
    return code, result


def test_an_image_gets_the_row_of_the_batch_job(client, model, tmp_path):
    refused = {name: data for name, (data, _) in refused_images().items()}
    huge = {f"huge_{name}": data for name, data in huge_images().items()}
    files = good_images() | refused | huge
    (tmp_path / "images").mkdir()
    for name, data in files.items():
        (tmp_path / "images" / f"{name}.png").write_bytes(data)
    output = tmp_path / "rows.jsonl"
    settings = {"output": str(output), "batch_size": 1, "heatmaps": "peaks", "decoders": 1}
    score(ScoringConfig(model=model, images=str(tmp_path / "images"), **settings))
    statuses = set()
    for line in output.read_text().splitlines():
        row = json.loads(line)
        name = row["image"].split("/")[-1].removesuffix(".png")
        code, result = only_result(client.post(files[name], query="?heatmaps=peaks"))
        statuses.add(row["status"])
        assert result["status"] == row["status"], name
        assert result["error"] == row["error"], name
        assert (code == 200) == (row["status"] == "ok"), name
        if code == 200:
            assert result["probabilities"] == {label: row[label] for label in LABELS}, name
            assert result["decisions"] == row["decisions"], name
            peaks = [peak | {"file": None} for peak in result["peaks"]]
            assert peaks == row["peaks"], name
        else:
            assert result["probabilities"] is None and result["decisions"] is None
    assert statuses == {"ok", "unreadable", "unsupported", "too_large"}


def test_a_form_and_json_give_one_result_an_image_in_order(client):
    files = [("a.png", colour(250, 0, 0)), ("no image", b"words"), ("ö.png", colour(0, 250, 0))]
    alone = [only_result(client.post(data))[1] for _, data in files]
    expected = [result | {"image": name} for result, (name, _) in zip(alone, files, strict=True)]
    code, _, body = client.post(*multipart(files))
    assert code == 200 and body["results"] == expected
    code, _, body = client.post_json([{"name": n, "b64": b64(data)} for n, data in files])
    assert code == 200 and body["results"] == expected
    assert [result["decisions"] for result in body["results"]] == [["red"], None, ["green"]]


def test_a_box_is_what_the_network_sees(client):
    pixels = np.zeros((20, 30, 3), np.uint8)
    pixels[5:15, 10:20] = (0, 0, 255)
    image = {"b64": b64(encode(Image.fromarray(pixels), "PNG"))}
    boxes = ([10, 5, 10, 10], [0, 0, 30, 20], [0, 0, 0, 5])
    _, _, body = client.post_json([image | {"box": box} for box in boxes] + [image])
    inside, whole, bad, without = body["results"]
    assert inside["decisions"] == ["blue"] and whole == without
    assert bad["status"] == "bad_row" and "positive" in bad["error"]


def test_heatmaps_come_on_request_for_decided_labels(client):
    image = colour(250, 0, 250)
    assert "peaks" not in only_result(client.post(image))[1]
    _, peaks = only_result(client.post(image, query="?heatmaps=peaks"))
    assert [peak["label"] for peak in peaks["peaks"]] == peaks["decisions"] == ["red", "blue"]
    assert "heatmaps" not in peaks
    _, maps = only_result(client.post(image, query="?heatmaps=maps"))
    assert maps["peaks"] == peaks["peaks"] and list(maps["heatmaps"]) == ["red", "blue"]
    assert np.shape(maps["heatmaps"]["red"]) == (8, 8)
    np.testing.assert_allclose(maps["heatmaps"]["red"], 250, atol=1e-3)


def test_the_most_probable_labels_stand_for_all_on_request(client):
    image = colour(100, 250, 200)
    whole = only_result(client.post(image))[1]["probabilities"]
    _, _, body = client.post_json([{"b64": b64(image)}, {"b64": b64(b"words")}], "?top_k=2")
    top, failed = body["results"]
    assert list(top["probabilities"].items()) == [(n, whole[n]) for n in ("green", "blue")]
    assert top["decisions"] == ["green", "blue"] and failed["probabilities"] is None
    assert client.post(image, query="?top_k=-1")[0] == 422


def test_a_model_of_views_says_how_stable_each_probability_is(tmp_path, client):
    described = dataclasses.replace(description(), tta=("hflip",))
    image = colour(100, 250, 200)
    without = only_result(client.post(image))[1]
    assert "stability" not in without and "tta" not in client.get("/model")[2]
    with running(write_channel_mean_model(tmp_path / "views.onnx", described)) as viewing:
        assert viewing.get("/model")[2]["tta"] == ["hflip"]
        result = only_result(viewing.post(image, query="?heatmaps=peaks"))[1]
        stability = result.pop("stability")
        assert {k: v for k, v in result.items() if k != "peaks"} == without
        halves = np.array(list(without["probabilities"].values()), np.float32) / 2
        np.testing.assert_array_equal(np.float32(list(stability.values())), np.float32(1) - halves)
        assert list(stability) == list(LABELS)
        images = [{"b64": b64(image)}, {"b64": b64(b"words")}]
        top, failed = viewing.post_json(images, "?top_k=2")[2]["results"]
        assert top["stability"] == {label: stability[label] for label in ("green", "blue")}
        assert failed.get("stability") is None and failed["status"] != "ok"


def test_codes_say_what_a_single_image_lacks(client):
    tiff = encode(Image.new("RGB", (4, 4)), "TIFF")
    for data, code, status in (
        (b"words", 422, "unreadable"),
        (b"", 422, "unreadable"),
        (tiff, 415, "unsupported"),
        (huge_images()["png"], 413, "too_large"),
    ):
        answer, result = only_result(client.post(data))
        assert (answer, result["status"]) == (code, status)


def test_an_image_is_taken_for_what_it_is_whatever_its_type_says(client):
    for kind in ("application/x-www-form-urlencoded", "text/plain", "image/jpeg"):
        assert only_result(client.post(colour(250, 0, 0), kind))[0] == 200


@pytest.mark.parametrize(
    "body, kind, part",
    [
        (b"{", "application/json", "Invalid JSON"),
        (b'{"images": []}', "application/json", "images: List should have at least 1 item"),
        (b'{"images": [{"file": 1}]}', "application/json; charset=utf-8", "images.0.file: Extra"),
        (b"[]", "application/json", '{"images": [{"b64"'),
        (b"words", "multipart/form-data", "no multipart form"),
        (b"words", "multipart/form-data; boundary=x", "no multipart form"),
        (b"--x--\r\n", "multipart/form-data; boundary=x", "no file"),
    ],
)
def test_a_body_that_is_no_list_of_images_is_refused_with_a_reason(client, body, kind, part):
    code, _, answer = client.post(body, kind)
    assert code == 422 and answer["status"] == "bad_request" and part in answer["error"]


def test_an_entry_that_is_wrong_in_itself_leaves_the_others(client):
    good = {"b64": b64(colour(250, 0, 0))}
    images = [good, {"b64": "@@"}, {}, good | {"url": "http://a"}, {"name": "x"}]
    code, _, body = client.post_json(images)
    assert code == 200
    assert [r["status"] for r in body["results"]] == ["ok"] + ["bad_row"] * 4
    assert "no Base64" in body["results"][1]["error"]
    code, _, body = client.post_json([good] * 9)
    assert code == 413 and body["status"] == "too_many" and "--max_images" in body["error"]


def test_urls_are_fetched_only_from_hosts_that_are_named(client, model):
    urls = [f"http://{client.host}/healthz", "http://localhost:1/a.png", "file:///etc/passwd"]
    urls += ["ftp://127.0.0.1/a", "http://[", "/etc/passwd", "http:///a"]
    _, _, body = client.post_json([{"url": url} for url in urls])
    fetched, *others = body["results"]
    assert (
        fetched["status"] == "unreadable" and "status" in fetched["error"]
    )  # The JSON of /healthz.
    assert [result["status"] for result in others] == ["bad_row"] * 6
    with running(model, url_hosts="*") as public:
        (result,) = public.post_json([{"url": urls[0]}])[2]["results"]
        assert result["status"] == "bad_row" and "no public address" in result["error"]
    with running(model) as closed:
        (result,) = closed.post_json([{"url": urls[0]}])[2]["results"]
        assert result["status"] == "bad_row" and "fetches no URLs" in result["error"]


def test_unknown_settings_and_paths_are_refused(client):
    code, _, body = client.post(colour(1, 2, 3), query="?heatmaps=all")
    assert code == 422 and "'none', 'peaks' or 'maps'" in body["error"]
    code, _, body = client.post(colour(1, 2, 3), query="?topk=2")
    assert code == 422 and "topk: expected heatmaps or top_k" in body["error"]
    assert client.get("/nothing")[0] == 404 and client.get("/score")[0] == 405


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/model", "/metrics"])
def test_heads_are_those_of_the_whole_answer(client, path):
    with contextlib.closing(client.connect()) as connection:
        kinds = []
        for method in ("HEAD", "GET"):  # A body behind the first would garble the second.
            connection.request(method, path)
            answer = connection.getresponse()
            assert answer.status == 200 and bool(answer.read()) == (method == "GET")
            kinds.append(answer.headers["Content-Type"])
    assert kinds[0] == kinds[1]


def test_the_page_shows_every_path_and_what_a_body_may_be(client):
    code, headers, page = client.get("/docs")
    assert code == 200 and headers.get_content_type() == "text/html" and b"swagger" in page
    paths = client.get("/openapi.json")[2]["paths"]
    assert set(paths) == {"/score", "/model", "/healthz", "/readyz", "/metrics"}
    kinds = paths["/score"]["post"]["requestBody"]["content"]
    assert set(kinds) == {"image/*", "multipart/form-data", "application/json"}
    statuses = ("ok", "unreadable", "unsupported", "too_large", "out_of_memory", "not_finite")
    codes = {str(code_of([status])) for status in statuses}
    assert codes <= set(paths["/score"]["post"]["responses"])


def test_the_model_is_described(client):
    _, _, body = client.get("/model")
    assert body["labels"] == list(LABELS) and body["thresholds"] == [0.5] * 3
    assert body["input_size"] == [8, 8] and body["has_heatmaps"] is True


def test_limits_of_the_server_replace_those_of_the_model(model):
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), (130, 0, 0)).save(buffer, "JPEG")
    with running(model, max_pixels=1000, threshold=0.4) as client:
        code, result = only_result(client.post(buffer.getvalue()))
        assert (code, result["status"]) == (413, "too_large") and "1000 pixels" in result["error"]
        assert only_result(client.post(colour(127, 0, 0)))[1]["decisions"] == ["red"]
