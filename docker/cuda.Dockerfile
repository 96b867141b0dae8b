# As cpu.Dockerfile, on NVIDIA GPUs. The host has the driver and the NVIDIA Container Toolkit; CUDA and
# cuDNN come as pip packages, where ONNX Runtime finds them.
#
#     docker build -f docker/cuda.Dockerfile -t vac-cuda .
#     docker run --gpus=all -p 8000:8000 -v "$PWD/bundles/mine:/model:ro" vac-cuda
#     docker run --gpus=all --entrypoint python vac-cuda score.py --doctor
FROM python:3.11-slim-bookworm

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# What the toolkit puts into the container: the driver's libraries and nvidia-smi.
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
WORKDIR /app

COPY requirements-scoring.txt requirements-metrics.txt requirements-serve.txt ./
RUN sed -i 's/^onnxruntime-gpu==/onnxruntime-gpu[cuda,cudnn]==/' requirements-scoring.txt \
    && pip install --no-cache-dir --requirement requirements-serve.txt

COPY score.py serve.py ./
COPY flags/ flags/
COPY export/ export/

RUN useradd --no-create-home --uid 10001 scorer
USER 10001

EXPOSE 8000
# All sizes of batches are tried before the server answers.
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
# A GPU that cannot be used ends the container with the reason, instead of a slow server.
ENTRYPOINT ["python", "serve.py", "--model=/model/model.onnx", "--host=0.0.0.0", "--providers=cuda"]
