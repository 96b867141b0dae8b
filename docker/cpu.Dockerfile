# A host without a GPU that serves (serve.py), or scores in batches (score.py). From the repository:
#
#     docker build -f docker/cpu.Dockerfile -t vac-cpu .
#     docker run -p 8000:8000 -v "$PWD/bundles/mine:/model:ro" vac-cpu
#     docker run -v "$PWD/bundles/mine:/model:ro" -v "$PWD/photos:/photos:ro" -v "$PWD/scores:/scores" \
#         -u "$(id -u)" --entrypoint python vac-cpu \
#         score.py --model=/model/model.onnx --images=/photos --output=/scores/scores.parquet
FROM python:3.11-slim-bookworm

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app

COPY requirements-scoring.txt requirements-metrics.txt requirements-serve.txt ./
# Without CUDA's half of ONNX Runtime: the same version in a tenth of the size.
RUN sed -i 's/^onnxruntime-gpu==/onnxruntime==/' requirements-scoring.txt \
    && pip install --no-cache-dir --requirement requirements-serve.txt

COPY score.py serve.py ./
COPY flags/ flags/
COPY export/ export/

RUN useradd --no-create-home --uid 10001 scorer
USER 10001

EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["python", "serve.py", "--model=/model/model.onnx", "--host=0.0.0.0"]
