# One image for every service; docker-compose.yml says which command each runs.
#   docker build .                                  torch for the CPU
#   docker build --build-arg TORCH_VARIANT=cu130 .  torch for CUDA 13.0
FROM python:3.12-slim

ARG TORCH_VARIANT=cpu

ENV PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    BITFRONT_HOME=/home/bitfront/state \
    NUMBA_CACHE_DIR=/home/bitfront/state/cache/numba \
    OMP_NUM_THREADS=1 \
    MKL_NUM_THREADS=1 \
    NUMBA_NUM_THREADS=1

RUN useradd --create-home bitfront \
 && install -d -o bitfront -g bitfront /home/bitfront/state
WORKDIR /opt/bitfront

# torch first, from PyTorch's own index, so that the CPU image pulls no CUDA packages.
COPY constraints.txt ./
RUN pip install "$(grep '^torch==' constraints.txt)" --index-url "https://download.pytorch.org/whl/${TORCH_VARIANT}"

COPY pyproject.toml README.md ./
COPY .streamlit ./.streamlit
COPY app ./app
COPY engine ./engine
COPY store ./store
COPY tasks ./tasks
RUN pip install --constraint constraints.txt --editable .

USER bitfront
VOLUME /home/bitfront/state
EXPOSE 8501
CMD ["bitfront", "up", "--port", "8501"]
