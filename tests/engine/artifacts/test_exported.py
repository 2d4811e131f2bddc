"""A saved model says what the fake-quantized one says: every scheme, architecture and task."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from torch_geometric.data import Batch, Data

import engine
from engine.errors import InputError, RunError
from engine.scheme import parse_scheme
from engine.schemes import RECIPES
from engine.settings import Settings
from tests.engine.artifacts.models import saved, train
from tests.engine.own_data.files import write_set

EXAMPLES = [
    example
    for recipe in RECIPES.values()
    for example in recipe.examples
    # They fine-tune for fifty epochs: see below.
    if recipe.name not in ("sgquant", "lwq", "cwq", "taq", "emb", "att", "msg")
]
TUNED = [
    "sgquant(bits=4,tune=2)",
    "lwq[8,4]+taq[8,6,4,2](tune=2)",
    "cwq(emb=4,msg=4,tune=2)",
    "taq[8,4,4,2](tune=2)",
    "emb[4,3,2,2 -> 8](per=row-tensor,tune=2)",
]
FEW = [
    "fp32",
    "int8",
    "msfp13",
    "dq-int4",
    "a2q",
    "cwq(att=2,emb=8,tune=2)",
    "sdq[int4,int8]",
    "dsq[int2,int2,int2,int16 -> int16,int4,int4,int16]",
]


def agrees(scheme: str, model: str, folder: Path, settings: Settings, **changes) -> None:
    result = train(settings, scheme, model, **changes)
    found = saved(result, folder, settings).compare(result)
    assert found.differing == []
    assert found.share == 1.0
    assert [site for site in found.sites if site.differing] == []
    assert bool(found.sites) == any(rule.site not in ("gradient", "stash") for rule in parse_scheme(scheme).rules)


@pytest.mark.parametrize("scheme", [*EXAMPLES, *TUNED])
def test_every_scheme_of_the_catalogue(settings: Settings, tmp_path: Path, scheme: str):
    agrees(scheme, "gcn", tmp_path, settings)


@pytest.mark.parametrize("model", ["gat(residual=true)", "sage", "gin(mlp_layers=2,train_eps=true)", "agnn"])
@pytest.mark.parametrize("scheme", FEW)
def test_every_architecture(settings: Settings, tmp_path: Path, model: str, scheme: str):
    if model.startswith(("sage", "gin")) and "att" in scheme:
        scheme = "cwq(emb=4,msg=4,tune=2)"
    agrees(scheme, model, tmp_path, settings)


@pytest.mark.parametrize("scheme", ["int8", "dq-int4", "a2q(groups=50)"])
def test_graphs_in_batches(settings: Settings, tmp_path: Path, mirror: Path, scheme: str):
    agrees(scheme, "gin(hidden=16)", tmp_path, settings, dataset="mutag", training={"epochs": 1, "batch_size": 40})


def test_links(settings: Settings, tmp_path: Path):
    result = train(settings, "int8", dataset="sbm(nodes=120)", task="link-prediction(width=8)")
    exported = saved(result, tmp_path, settings)
    assert exported.compare(result).share == 1.0
    assert exported.scores().shape == (120, 8)
    assert set(exported.predict().tolist()) <= {0, 1}


def test_a_standardized_regression_answers_in_the_targets_unit(settings: Settings, tmp_path: Path):
    rows = "".join(f"g{index},{1000 + index}.5\n" for index in range(12))
    folder = write_set(tmp_path / "rings", table=f"graph,y\n{rows}")
    dataset = {"name": "folder", "path": str(folder), "labels": "numbers"}
    result = train(settings, "int8", "gin(hidden=8)", dataset=dataset, task="graph-regression(standardize=true)")
    assert result.model.scaling is not None
    exported = saved(result, tmp_path, settings)
    assert exported.compare(result).share == 1.0
    assert 900 < float(exported.predict().mean()) < 1100
    shutil.rmtree(folder)
    graph = Data(x=torch.ones(3, 2), edge_index=torch.tensor([[0, 1, 2], [1, 2, 0]]))
    alone = engine.load(exported.path, settings=settings)
    assert alone.predict(graph).shape == (1, 1), "the training data need not be there"


def test_graphs_that_a_person_brings(settings: Settings, tmp_path: Path):
    result = train(settings, "int8")
    exported = saved(result, tmp_path, settings)
    data = karate()
    labels = exported.predict(data)
    assert torch.equal(labels, exported.predict())
    # Two copies in a batch: ranges are those of all of it, which are the same.
    both = exported.predict(Batch.from_data_list([data, data]))
    assert torch.equal(both, torch.cat([labels, labels]))
    assert exported.scores(data).shape == (34, 4)


@pytest.mark.parametrize("scheme", ["dq-int8", "msfp13"])
def test_raw_and_prepared_features_say_the_same(settings: Settings, tmp_path: Path, mirror: Path, scheme: str):
    """Cora's words, as Planetoid has them and divided by their number as training had them."""
    from torch_geometric.datasets import Planetoid
    from torch_geometric.transforms import NormalizeFeatures

    exported = saved(train(settings, scheme, epochs=20, dataset="cora"), tmp_path, settings)
    labels = exported.predict()
    assert len(labels) == 2708
    folder = str(settings.data_root / "Planetoid")
    for found in (Planetoid(folder, "Cora")[0], Planetoid(folder, "Cora", transform=NormalizeFeatures())[0]):
        assert isinstance(found, Data)
        assert float((exported.predict(found) == labels).double().mean()) >= 0.999
    negative = Data(x=-torch.ones(3, 1433), edge_index=torch.tensor([[0], [1]]))
    with pytest.raises(InputError) as error:
        exported.predict(negative)
    assert str(error.value) == (
        "the data's features x hold negative numbers, but the model was trained on the counts of cora, each row "
        "divided by its sum: give them raw, or so divided"
    )


def karate() -> Data:
    from torch_geometric.datasets import KarateClub

    return KarateClub()[0]  # pyright: ignore[reportReturnType]


def test_differing_nodes_are_listed(settings: Settings, tmp_path: Path):
    result, other = train(settings, "int8"), train(settings, "int8", seed=1)
    exported = saved(result, tmp_path, settings)
    found = exported.compare(other)
    expected = (exported.predict() != saved(other, tmp_path / "other", settings).predict()).nonzero().flatten()
    assert found.differing == expected.tolist()
    assert found.differing
    assert found.share == 1 - len(found.differing) / 34
    assert any(site.differing for site in found.sites if site.site == "weight")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            Data(x=torch.ones(3, 5), edge_index=torch.tensor([[0], [1]])),
            "the data's features x have the shape [3, 5], but the model takes [nodes, 34], as karate has them",
        ),
        (
            Data(edge_index=torch.tensor([[0], [1]]), num_nodes=2),
            "the data's features x have the shape none, but the model takes [nodes, 34], as karate has them",
        ),
        (
            Data(x=torch.ones(3, 34)),
            "the data has no edge_index [2, E]: give a PyG Data or Batch with x and edge_index",
        ),
        (
            Data(x=torch.ones(3, 34), edge_index=torch.tensor([[0], [3]])),
            "the data's edge_index names node 3, but its x has 3 rows: nodes are numbered from 0",
        ),
        (
            Data(x=torch.full((3, 34), torch.nan), edge_index=torch.tensor([[0], [1]])),
            "the data's features x hold NaN or infinity: replace them first",
        ),
    ],
    ids=["width", "no features", "no edges", "a node too many", "not finite"],
)
def test_data_that_does_not_fit_is_refused(settings: Settings, tmp_path: Path, data: Data, message: str):
    exported = saved(train(settings, "fp32"), tmp_path, settings)
    with pytest.raises(InputError) as error:
        exported.predict(data)
    assert str(error.value) == message


def test_a_graph_that_was_not_seen_needs_groups_of_bits(settings: Settings, tmp_path: Path):
    exported = saved(train(settings, "a2q"), tmp_path, settings)
    with pytest.raises(RunError, match=r"has 3 rows, but A²Q has the bits of 34 nodes"):
        exported.predict(Data(x=torch.ones(3, 34), edge_index=torch.tensor([[0], [1]])))


def test_pairs_must_be_named(settings: Settings, tmp_path: Path):
    result = train(settings, "fp32", dataset="sbm(nodes=120)", task="link-prediction(width=8)")
    exported = saved(result, tmp_path, settings)
    data = Data(x=torch.ones(3, result.model.size.features), edge_index=torch.tensor([[0], [1]]))
    with pytest.raises(InputError) as error:
        exported.predict(data)
    assert str(error.value) == (
        "the data names no pairs of nodes: give it edge_label_index [2, P], or ask for scores, the nodes' vectors"
    )
    data.edge_label_index = torch.tensor([[0, 1], [1, 2]])
    assert exported.predict(data).shape == (2,)
