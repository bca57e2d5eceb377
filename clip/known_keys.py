"""Known keys in the configurations of models, text towers and tokenizers, and the kind of value that each may have.

A key that is not listed has not been examined: it may name code, a path or an address.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

REPO = re.compile(r"(?!.*(\.\.|--))(\w[\w.-]*/)?\w[\w.-]{0,95}", re.ASCII)


class Kind(NamedTuple):
    """A kind of value: its description and a test."""

    words: str
    fits: Callable[[Any], bool]


def _is_whole(value: Any, most: int) -> bool:
    """Return whether a value is a whole number from 0 to `most`."""
    return type(value) is int and 0 <= value <= most


def _is_number(value: Any) -> bool:
    """Return whether a value is a finite number; NaN fails both comparisons."""
    return type(value) in (int, float) and -1e12 <= value <= 1e12


def _words(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


def _whole(most: int) -> Kind:
    """Return the kind of whole numbers from 0 to `most`."""
    return Kind(f"a whole number of at most {most:,}", lambda value: _is_whole(value, most))


def _one_of(*words: str) -> Kind:
    """Return the kind of the given words."""
    return Kind(f"one of {', '.join(words)}", lambda value: isinstance(value, str) and value in words)


def _dictionary(**kinds: Kind) -> Kind:
    """Return the kind of dictionaries with these keys, each with a value of its kind."""
    return Kind(
        f"a dictionary of {', '.join(kinds)}",
        lambda value: isinstance(value, dict) and all(k in kinds and kinds[k].fits(v) for k, v in value.items()),
    )


LAYERS, SIZE, IDS = _whole(500), _whole(50_000), _whole(10_000_000)
NUMBER, YES_NO = Kind("a number", _is_number), Kind("true or false", lambda value: isinstance(value, bool))
PLAIN = Kind(
    "a number, a word, true or false",
    lambda v: isinstance(v, bool) or _is_number(v) or (isinstance(v, str) and bool(re.fullmatch(r"[\w-]{1,40}", v))),
)
PART = Kind("a dictionary", lambda value: isinstance(value, dict))
THREE = Kind("three numbers", lambda v: isinstance(v, list) and len(v) == 3 and all(map(_is_number, v)))
SQUARE = Kind(
    "the side of a square image",
    lambda v: _is_whole(v, 4096) or (isinstance(v, list) and len(v) == 2 and v[0] == v[1] and _is_whole(v[0], 4096)),
)
STAGES = Kind(
    "a number of layers, or four of them",
    lambda v: LAYERS.fits(v) or (isinstance(v, list) and len(v) == 4 and all(map(LAYERS.fits, v))),
)
REPOSITORY = Kind("a repository of the hub such as org/model", lambda v: isinstance(v, str) and bool(REPO.fullmatch(v)))
TIMM = Kind(
    "the name of a model that timm builds", lambda v: isinstance(v, str) and bool(re.fullmatch(r"\w+(\.\w+)?", v))
)

# Options of open_clip's models. Its further options are left out on purpose, until each has been examined.
BLOCKS = dict.fromkeys(("qk_norm", "scaled_cosine_attn", "scale_heads", "scale_attn_inner", "scale_attn"), YES_NO)
BLOCKS |= {"scale_fc": YES_NO, "block_type": _one_of("default", "custom"), "ls_init_value": NUMBER}
BLOCKS |= {"act_kwargs": _dictionary(approximate=_one_of("none", "tanh")), "norm_kwargs": _dictionary(eps=NUMBER)}
BLOCKS |= {"mlp_ratio": NUMBER, "width": SIZE, "output_tokens": YES_NO, "final_ln_after_pool": YES_NO}
MODEL = {
    "embed_dim": SIZE,
    "vision_cfg": PART,
    "text_cfg": PART,
    "custom_text": YES_NO,
    "quick_gelu": YES_NO,
    "init_logit_scale": NUMBER,
    "init_logit_bias": NUMBER,
    "nonscalar_logit_scale": YES_NO,
}
VISION = BLOCKS | {
    "layers": STAGES,
    "head_width": SIZE,
    "patch_size": SIZE,
    "image_size": SQUARE,
    "patch_dropout": NUMBER,
    "attentional_pool": Kind("true, false, parallel or cascade", lambda v: v in (True, False, "parallel", "cascade")),
    "attn_pooler_queries": SIZE,
    "attn_pooler_heads": SIZE,
    "no_ln_pre": YES_NO,
    "pos_embed_type": _one_of("learnable", "sin_cos_2d"),
    "pool_type": _one_of("tok", "avg", "none"),
    "timm_model_name": TIMM,
    "timm_model_pretrained": YES_NO,
    "timm_pool": _one_of("", "avg", "avgmax", "max", "token", "map", "abs_attn", "rot_attn"),
    "timm_proj": _one_of("", "linear", "mlp", "none"),
    "timm_proj_bias": YES_NO,
    "timm_drop": NUMBER,
    "timm_drop_path": NUMBER,
}
TEXT = BLOCKS | {
    "context_length": SIZE,
    "vocab_size": IDS,
    "hf_tokenizer_name": REPOSITORY,
    "tokenizer_mode": _one_of("", "clips"),
    "tokenizer_kwargs": PART,
    "heads": SIZE,
    "layers": LAYERS,
    "embed_cls": YES_NO,
    "pad_id": IDS,
    "eos_id": IDS,
    "no_causal_mask": YES_NO,
    "pool_type": _one_of("first", "last", "argmax", "eos", "none"),
    "proj_bias": YES_NO,
    "proj_type": _one_of("linear", "none"),
    "hf_model_name": REPOSITORY,
    "hf_model_pretrained": YES_NO,
    "hf_proj_type": _one_of("", "linear", "mlp"),
    "hf_pooler_type": _one_of("mean_pooler", "cls_pooler", "cls_last_hidden_state_pooler"),
}
TOKENIZER_KWARGS = {
    "clean": _one_of("whitespace", "lower", "canonicalize"),
    "strip_sep_token": YES_NO,
    "language": Kind("a language's code", lambda v: isinstance(v, str) and bool(re.fullmatch(r"\w{1,20}", v))),
    "tokenizer_mode": TEXT["tokenizer_mode"],
}
PREPROCESSING = {
    "size": SQUARE,
    "mode": _one_of("RGB"),
    "mean": THREE,
    "std": Kind("three numbers above 0", lambda v: THREE.fits(v) and min(v) > 0),
    "interpolation": _one_of("bicubic", "bilinear", "nearest"),
    "resize_mode": _one_of("shortest", "squash"),
    "fill_color": NUMBER,
}
# Older names of keys in open_clip's configurations, which some copies still have.
OLD_NAMES = {"proj": "hf_proj_type", "pooler_type": "hf_pooler_type", "hf_tokenizer_kwargs": "tokenizer_kwargs"}


def of_text_tower(key: str) -> Kind:
    """Return the kind of a value in a text tower's config.json; numbers of layers are limited, so building ends."""
    return LAYERS if key.endswith("_layers") else PLAIN


TEXT_TOWERS = ("roberta", "xlm-roberta", "mt5", "bert", "m2m_100")  # kinds in transformers that open_clip builds
# Keys of a config.json that determine shape and numbers of these text towers.
TEXT_TOWER = _words(
    "model_type vocab_size hidden_size num_hidden_layers num_attention_heads intermediate_size hidden_act "
    "hidden_dropout_prob attention_probs_dropout_prob max_position_embeddings type_vocab_size initializer_range "
    "layer_norm_eps pad_token_id bos_token_id eos_token_id position_embedding_type use_cache is_decoder "
    "add_cross_attention classifier_dropout tie_word_embeddings is_encoder_decoder d_model d_kv d_ff num_layers "
    "num_decoder_layers num_heads relative_attention_num_buckets relative_attention_max_distance dropout_rate "
    "layer_norm_epsilon initializer_factor feed_forward_proj dense_act_fn is_gated_act decoder_start_token_id "
    "encoder_layers encoder_ffn_dim encoder_attention_heads encoder_layerdrop decoder_layers decoder_ffn_dim "
    "decoder_attention_heads decoder_layerdrop activation_function dropout attention_dropout activation_dropout "
    "init_std scale_embedding tokenizer_class"
)
# Keys of a special_tokens_map.json.
SPECIAL_TOKENS = _words(
    "bos_token eos_token unk_token sep_token pad_token cls_token mask_token additional_special_tokens "
    "extra_special_tokens"
)
# Keys of a tokenizer_config.json that determine the tokens.
TOKENIZER_CONFIG = SPECIAL_TOKENS | _words(
    "tokenizer_class do_lower_case "
    "do_basic_tokenize never_split strip_accents tokenize_chinese_chars model_max_length add_prefix_space "
    "trim_offsets errors clean_up_tokenization_spaces "
    "added_tokens_decoder padding_side truncation_side model_input_names src_lang tgt_lang legacy_behaviour "
    "keep_accents remove_space do_lowercase add_bos_token add_eos_token extra_ids split_special_tokens legacy "
    "backend"
)
# Keys about the origin of files or how they were saved; they are left out without a message.
ABOUT_FILES = _words(
    "architectures transformers_version _name_or_path name_or_path torch_dtype dtype id2label label2id "
    "chat_template special_tokens_map_file tokenizer_file processor_class gradient_checkpointing is_local"
)
# Classes in transformers that read a vocabulary and run no code of the model's.
TOKENIZER_CLASS = re.compile(
    "((Albert|Bart|Bert|CLIP|Camembert|Deberta|DebertaV2|DistilBert|Electra|GPT2|Gemma|Llama|M2M100|MBart|MPNet|MT5|Nllb|"
    "Roberta|Siglip|Siglip2|T5|XLMRoberta|PreTrained)Tokenizer(Fast)?|TokenizersBackend)"
)

# Two towers that transformers describes in one config.json, as CLIPModel and SiglipModel do.
COUNT = Kind("a whole number from 1 to 50,000", lambda value: _is_whole(value, 50_000) and value > 0)
DEPTH = Kind("a whole number from 1 to 500", lambda value: _is_whole(value, 500) and value > 0)
TOWER = {
    "hidden_size": COUNT,
    "intermediate_size": COUNT,
    "num_hidden_layers": DEPTH,
    "num_attention_heads": COUNT,
    "hidden_act": _one_of("quick_gelu", "gelu", "gelu_pytorch_tanh"),
    "layer_norm_eps": Kind("a number above 0", lambda value: _is_number(value) and value > 0),
}
TWO_TOWERS = {"model_type": _one_of("clip", "siglip"), "projection_dim": COUNT}
TWO_TOWERS |= dict.fromkeys(("text_config", "vision_config", "text_config_dict", "vision_config_dict"), PART)
TEXT_OF_TWO = TOWER | {"vocab_size": IDS, "max_position_embeddings": COUNT, "eos_token_id": IDS}
TEXT_OF_TWO |= {"projection_size": COUNT}
VISION_OF_TWO = TOWER | {"image_size": SQUARE, "patch_size": COUNT, "vision_use_head": YES_NO}
VISION_OF_TWO |= {"num_channels": Kind("3", lambda value: _is_whole(value, 3) and value == 3)}
# Keys that older versions wrote for every model: about training, other towers' outputs and the writing of texts.
NOT_OF_TOWERS = _words(
    "add_cross_attention attention_dropout bad_words_ids begin_suppress_tokens bos_token_id chunk_size_feed_forward "
    "cross_attention_hidden_size decoder_start_token_id diversity_penalty do_sample dropout early_stopping "
    "encoder_no_repeat_ngram_size eos_token_id exponential_decay_length_penalty finetuning_task forced_bos_token_id "
    "forced_eos_token_id initializer_factor initializer_range is_decoder is_encoder_decoder length_penalty "
    "logit_scale_init_value max_length min_length model_type no_repeat_ngram_size num_beam_groups num_beams "
    "num_return_sequences output_attentions output_hidden_states output_scores pad_token_id prefix problem_type "
    "projection_dim remove_invalid_values repetition_penalty return_dict return_dict_in_generate sep_token_id "
    "suppress_tokens task_specific_params temperature tf_legacy_loss tie_encoder_decoder tie_word_embeddings "
    "tokenizer_class top_k top_p torchscript typical_p use_bfloat16 use_cache"
)
SIDES = Kind(
    "a number of pixels, or one for shortest_edge or for height and width",
    lambda v: (
        set(v) in ({"shortest_edge"}, {"height", "width"}) and all(map(COUNT.fits, v.values()))
        if isinstance(v, dict)
        else COUNT.fits(v)
    ),
)
# Keys of a preprocessor_config.json; those of no consequence for pixels are left out.
IMAGE_PROCESSOR = dict.fromkeys(("do_resize", "do_center_crop", "do_rescale", "do_normalize", "do_pad"), YES_NO)
IMAGE_PROCESSOR |= {"size": SIDES, "crop_size": SIDES, "image_mean": THREE, "image_std": PREPROCESSING["std"]}
IMAGE_PROCESSOR |= {"resample": _whole(5), "rescale_factor": NUMBER}
NOT_OF_PIXELS = _words(
    "image_processor_type feature_extractor_type processor_class do_convert_rgb data_format input_data_format device "
    "disable_grouping return_tensors default_to_square"
)
